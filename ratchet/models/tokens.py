"""Tokenizers: whole-word ones for small models, and those of Hugging Face checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ratchet.core.errors import EngineError

END, UNKNOWN = "<end>", "<unk>"


class Tokenizer(Protocol):
    """Text to token ids and back. Any of `end` ends a completion; `end_id` is the one written after demonstrations."""

    @property
    def end(self) -> frozenset[int]: ...
    @property
    def end_id(self) -> int: ...
    def encode_prompt(self, text: str) -> list[int]:
        """A user's prompt, with the chat template where there is one."""
        ...

    def encode_turn(self, text: str) -> list[int]:
        """What a user says after a model's turn: the end of that turn first, where the chat template writes one."""
        ...

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def save(self, folder: Path) -> None: ...


class WordTokenizer:
    """Every word, divided by blanks, is one token: numbers too. Written as a tokenizers file that transformers reads.

    A `strict` one raises EngineError for a word outside the vocabulary: a silent unknown token would change the
    question. Real text has words that no training text holds; one that is not strict reads them as token 0, <unk>.
    """

    def __init__(self, words: Sequence[str], strict: bool = True) -> None:
        self.words, self.strict = [UNKNOWN, END, *words], strict
        self.ids = {w: i for i, w in enumerate(self.words)}
        if len(self.ids) != len(self.words):
            raise EngineError("a word stands twice in the vocabulary")

    @property
    def end(self) -> frozenset[int]:
        return frozenset({1})

    @property
    def end_id(self) -> int:
        return 1

    def encode_prompt(self, text: str) -> list[int]:
        return self.encode(text)

    def encode_turn(self, text: str) -> list[int]:
        return self.encode(text)

    def encode(self, text: str) -> list[int]:
        if not self.strict:
            return [self.ids.get(w, 0) for w in text.split()]
        try:
            return [self.ids[w] for w in text.split()]
        except KeyError as e:
            raise EngineError(
                f"the word {e.args[0]!r} of {text[:60]!r} is not among the {len(self.words)} words that this small model "
                "knows; use tasks in its words (and, for a strategy that talks to it, knobs in its words), or a model with a full tokenizer"
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[i] for i in ids if i != 1)

    def save(self, folder: Path) -> None:
        from tokenizers import Tokenizer as Fast
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import WhitespaceSplit

        fast = Fast(WordLevel(self.ids, unk_token=UNKNOWN))
        fast.pre_tokenizer = WhitespaceSplit()
        fast.save(str(folder / "tokenizer.json"))
        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "unk_token": UNKNOWN,
            "pad_token": END,
            "strict_words": self.strict,  # for `load`; transformers itself always reads unknown words as <unk>
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> WordTokenizer | None:
        """The tokenizer of a folder that `save` wrote; None where it is of another kind."""
        config = folder / "tokenizer_config.json"
        about = json.loads(config.read_text()) if config.is_file() else {}
        # a chat template added later needs a tokenizer that can render it
        if "strict_words" not in about or "chat_template" in about or (folder / "chat_template.jinja").exists():
            return None
        vocab: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        return cls(sorted(vocab, key=vocab.__getitem__)[2:], strict=about["strict_words"])


def words_of(texts: Iterable[str], at_least: int = 2, most: int = 3_000) -> list[str]:
    """A vocabulary: the `most` most frequent words that stand at least `at_least` times, ties by spelling, then sorted."""
    count = Counter[str](word for text in texts for word in text.split())
    ranked = sorted((w for w in count if count[w] >= at_least and w not in (UNKNOWN, END)), key=lambda w: (-count[w], w))
    return sorted(ranked[:most])


def reasoning_words(top: int = 99) -> list[str]:
    """The words of the built-in model: numbers 0 to `top`, operators, and those of its task families."""
    words = ["numbers", "target", ":", "try", "no", "yes", "answer", "start", "then", "(", ")", "+", "-", "*", "/", "="]
    return [*words, *(str(n) for n in range(top + 1))]
