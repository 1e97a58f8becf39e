"""Two taggers that learn in about a second, to measure learning curves with: a hidden Markov model, averaged perceptron.

Sentences are encoded once, before any learner sees them; encoding looks at spellings, and at no tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

FREE = 2  # entries of a row of features that hold the tags before, which are known only when tagging


@dataclass(frozen=True)
class Sentence:
    """n words as numbers. `tags` (n,) is the truth; `endings` (n, 5) are ever finer classes of the spelling, the last of
    them the word itself; `features` (n, F + FREE) has one feature of each template, and room for the tags before."""

    tags: np.ndarray
    endings: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Encoded sentences, the tags' names, and how many different endings and features there are."""

    sentences: Sequence[Sentence]
    tags: Sequence[str]
    endings: int
    features: int


Tagger = Callable[[Sentence], np.ndarray]
"""A sentence -> the tag (n,) of each word, without a look at the true ones."""


def encode(sentences: Sequence[Sequence[tuple[str, str]]]) -> Corpus:
    """Sentences of (word, tag) as numbers. Raises ValueError where there is no word.

    Templates after Ratnaparkhi 1996: the word, two neighbours on either side, prefix, suffixes of 1 to 3 letters, shape.
    """
    tags = sorted({tag for sentence in sentences for _, tag in sentence})
    if not tags:
        raise ValueError("a corpus needs at least one word")
    place = {tag: i for i, tag in enumerate(tags)}
    known: dict[str, dict[str, int]] = {"endings": {}, "features": {}}

    def numbers(kind: str, names: Sequence[Sequence[str]]) -> np.ndarray:
        ids = known[kind]
        return np.array([[ids.setdefault(name, len(ids)) for name in row] for row in names])

    encoded: list[Sentence] = []
    for sentence in sentences:
        words = [word for word, _ in sentence]
        seen = numbers("features", features_of(words))
        encoded.append(
            Sentence(
                np.array([place[tag] for _, tag in sentence]),
                numbers("endings", [endings_of(word) for word in words]),
                np.hstack([seen, np.zeros((len(words), FREE), int)]),
            )
        )
    return Corpus(encoded, tags, len(known["endings"]), len(known["features"]))


def endings_of(word: str) -> list[str]:
    """From coarse to fine: any word, then suffixes of one to three letters with the shape, then the word itself."""
    mark = shape_of(word)
    return [mark, *(f"{mark} -{word[-k:].lower()} {min(k, len(word))}" for k in (1, 2, 3)), f"= {word}"]


def shape_of(word: str) -> str:
    """Whether a word begins with a capital, holds digits, holds letters at all."""
    return f"{word[0].isupper():d}{any(c.isdigit() for c in word):d}{any(c.isalpha() for c in word):d}"


def features_of(words: Sequence[str]) -> list[list[str]]:
    """The names of one feature for each template and word."""
    padded = ["<", "<", *words, ">", ">"]
    rows: list[list[str]] = []
    for i, word in enumerate(words):
        low, around = word.lower(), padded[i : i + 5]
        near = [f"{k} {around[k].lower()}" for k in (0, 1, 3, 4)]
        suffixes = [f"s{k} {low[-k:]}" for k in (1, 2, 3)]
        beside = [f"b {around[1][-2:].lower()}", f"a {around[3][-2:].lower()}"]
        rows.append([f"w {word}", f"l {low}", *near, *suffixes, *beside, f"p {low[:2]}", f"sh {shape_of(word)} {i == 0}"])
    return rows


def accuracy(tagger: Tagger, test: Sequence[Sentence]) -> float:
    """Share of words tagged right, in points from 0 to 100. Raises ValueError where there is no word."""
    right = [tagger(sentence) == sentence.tags for sentence in test]
    if not right:
        raise ValueError("accuracy needs at least one sentence")
    return 100 * float(np.concatenate(right).mean())


# ---- hidden Markov model -----------------------------------------------------------------------------------------


def hidden_markov(train: Sequence[Sentence], tags: int, endings: int, *, strength: float = 1.0, rare: int = 10) -> Tagger:
    """A first-order hidden Markov model, decoded by Viterbi's algorithm.

    P(tag | ending) backs off from each ending to the next coarser one, with the weight of `strength` observations;
    suffixes are counted on words seen at most `rare` times, since unknown words are like rare ones (Brants 2000, TnT;
    there trigrams of tags, here bigrams). Emission is P(tag | ending) / P(tag), by Bayes' rule.
    """
    moves = np.full((tags + 1, tags + 1), 0.1)  # the last row and column are the sentence's edge
    for sentence in train:
        path = np.concatenate(([tags], sentence.tags, [tags]))
        np.add.at(moves, (path[:-1], path[1:]), 1)
    step = np.log(moves / moves.sum(1, keepdims=True))
    seen = np.concatenate([s.endings for s in train])
    truth = np.concatenate([s.tags for s in train])
    seldom = np.bincount(seen[:, -1], minlength=endings)[seen[:, -1]] <= rare
    counts = np.zeros((endings, tags))
    for level in range(seen.shape[1]):
        used = seldom if 0 < level < seen.shape[1] - 1 else np.ones_like(seldom)
        np.add.at(counts, (seen[used, level], truth[used]), 1)
    prior = (np.bincount(truth, minlength=tags) + 0.1) / (len(truth) + 0.1 * tags)

    def tag(sentence: Sentence) -> np.ndarray:
        chance = np.tile(prior, (len(sentence.tags), 1))
        for level in sentence.endings.T:
            chance = (counts[level] + strength * chance) / (counts[level].sum(1, keepdims=True) + strength)
        return viterbi(step[tags, :tags], step[:tags, :tags], step[:tags, tags], np.log(chance / prior))

    return tag


def viterbi(first: np.ndarray, step: np.ndarray, last: np.ndarray, emission: np.ndarray) -> np.ndarray:
    """The most probable path (n,) for log-weights `first` (T,), `step` (T, T), `last` (T,) and `emission` (n, T)."""
    score, back = first + emission[0], np.zeros(emission.shape, int)
    for i in range(1, len(emission)):
        ways = score[:, None] + step
        back[i] = ways.argmax(0)
        score = ways.max(0) + emission[i]
    path = [int((score + last).argmax())]
    for i in range(len(emission) - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return np.array(path[::-1])


# ---- averaged perceptron -----------------------------------------------------------------------------------------


def perceptron(train: Sequence[Sentence], tags: int, features: int, rng: Random, *, epochs: int = 3) -> Tagger:
    """An averaged perceptron (Collins 2002) that tags from left to right and sees the two tags that it gave before.

    Each mistake moves the weights of the word's features towards the right tag and away from the one given; the
    weights used afterwards are the average over all words of all `epochs`, in an order that `rng` shuffles.
    """
    weights = np.zeros((features + (tags + 1) * (tags + 2), tags))
    late = np.zeros_like(weights)  # each change times the moment it was made: the average without keeping the past
    moment = 1

    def learn(sentence: Sentence) -> None:
        nonlocal moment
        ids, before, earlier = sentence.features.copy(), tags, tags
        for row, true in zip(ids, sentence.tags.tolist()):
            row[-2], row[-1] = features + before, features + (tags + 1) * (before + 1) + earlier
            given = int(weights[row].sum(0).argmax())
            if given != true:
                weights[row, true] += 1
                weights[row, given] -= 1
                late[row, true] += moment
                late[row, given] -= moment
            before, earlier = given, before
            moment += 1

    order = list(train)
    for _ in range(epochs):
        rng.shuffle(order)
        for sentence in order:
            learn(sentence)
    average = weights - late / moment

    def tag(sentence: Sentence) -> np.ndarray:
        alone = average[sentence.features[:, :-FREE]].sum(1)
        given, before, earlier = [], tags, tags
        for score in alone:
            seen = average[features + before] + average[features + (tags + 1) * (before + 1) + earlier]
            before, earlier = int((score + seen).argmax()), before
            given.append(before)
        return np.array(given)

    return tag
