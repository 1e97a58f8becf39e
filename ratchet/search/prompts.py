"""What strategies say to a model: templates with names in braces."""

from __future__ import annotations


def written(template: str, **parts: str) -> str:
    """A template with its {names} filled in, in one pass: braces in a task or an answer stay as they are."""
    pieces = template.split("{")
    text = pieces[0]
    for piece in pieces[1:]:
        name, closed, rest = piece.partition("}")
        text += parts[name] + rest if closed and name in parts else "{" + piece
    return text
