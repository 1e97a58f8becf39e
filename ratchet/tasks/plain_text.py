"""Real text for a language model: a shipped sample of English from the web."""

from __future__ import annotations

from importlib.resources import files
from itertools import islice

from ratchet.tasks.labelled import tagged_sentences


def web_documents() -> list[list[str]]:
    """318 documents of the UD English Web Treebank, each the list of its sentences: those of `tagged_sentences`, untagged.

    A sentence is its words and marks, divided by blanks, 25,147 of them in all, in upper and lower case. Sentences of one
    document share their subject: whoever parts this into training and held-out text should part whole documents.
    """
    lengths = (files("ratchet.tasks") / "samples" / "ud_english_ewt" / "documents.txt").read_text().split()
    sentences = (" ".join(word for word, _ in sentence) for sentence in tagged_sentences())
    return [list(islice(sentences, int(length))) for length in lengths]
