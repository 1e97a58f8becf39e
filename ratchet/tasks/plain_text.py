"""Real text for a language model: a shipped sample of English from the web."""

from __future__ import annotations

from importlib.resources import files


def web_documents() -> list[list[str]]:
    """318 documents of the UD English Web Treebank, each the list of its sentences (see samples/web_text/ORIGIN.md).

    A sentence is its words and marks, divided by blanks, 25,147 of them in all, in upper and lower case. Sentences of one
    document share their subject: whoever parts this into training and held-out text should part whole documents.
    """
    text = (files("ratchet.tasks") / "samples" / "web_text" / "sentences.txt").read_text(encoding="utf-8")
    return [document.split("\n") for document in text.strip().split("\n\n")]
