"""Labelled data that comes with the package, for measuring how learners learn: tagged sentences and written digits."""

from __future__ import annotations

import gzip
from importlib.resources import files
from itertools import groupby

import numpy as np

from ratchet.core.errors import TaskError

Tagged = tuple[tuple[str, str], ...]
"""A sentence: its words, each with its tag."""


def tagged_sentences() -> list[Tagged]:
    """2,001 English sentences of web text, 25,147 words with one of 17 universal parts of speech each.

    The development part of UD English EWT (Silveira et al. 2014), CC BY-SA 4.0: tasks/samples/ud_english_ewt/ORIGIN.md.
    """
    return read_tagged(sample("ud_english_ewt", "words_and_tags.tsv.gz").decode())


def read_tagged(text: str) -> list[Tagged]:
    """Sentences from lines of a word, a tabulator and a tag, divided by blank lines. TaskError for any other line.

    >>> read_tagged("Go\\tVERB\\n\\nNo\\tINTJ\\n!\\tPUNCT\\n")
    [(('Go', 'VERB'),), (('No', 'INTJ'), ('!', 'PUNCT'))]
    """
    rows = [line.split("\t") if line else [] for line in text.split("\n")]
    for number, row in enumerate(rows, start=1):
        if row and (len(row) != 2 or not all(row)):
            raise TaskError(f"line {number} of the tagged text is not a word, a tabulator and a tag: {row!r}")
    return [tuple((row[0], row[1]) for row in block) for whole, block in groupby(rows, key=bool) if whole]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """4,000 written digits: images (4000, 196) of 14 x 14 with values 0 (paper) to 1 (ink), labels (4000,) 0 to 9.

    From MNIST (LeCun et al.), shrunk, CC BY-SA 3.0: tasks/samples/digits/ORIGIN.md.
    """
    images, labels = (np.frombuffer(sample("digits", f"{name}.bin.gz"), np.uint8) for name in ("images", "labels"))
    return images.reshape(len(labels), -1) / 15.0, labels.astype(int)


def sample(folder: str, name: str) -> bytes:
    return gzip.decompress((files("ratchet.tasks") / "samples" / folder / name).read_bytes())
