"""Shapes and comments of the fields of data classes become their documentation: a griffe extension for mkdocstrings."""

from __future__ import annotations

import io
import re
import tokenize
from typing import Any

import griffe

_SHAPE = re.compile(r"""\b(?:Float|Bool|Int|Key)\[[\w.]+, ["']([^"']*)["']\]""")


class FieldComments(griffe.Extension):
    """Takes ``x: Float[Array, "T 3"]  # m, height`` for an attribute with the docstring "(T, 3) m, height"."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give the attributes of a class their comments."""
        fields = [a for a in cls.members.values() if a.is_attribute and not a.is_alias and not a.docstring and a.lineno]
        if not fields:
            return
        comments = self._comments(cls)
        for field in fields:
            shape = _SHAPE.search(str(field.annotation))
            stated = f"({', '.join(_literal(shape[1]).split())})" if shape else ""
            text = f"{stated} {comments.get(field.endlineno or field.lineno) or ''}".strip()
            if text:
                field.docstring = griffe.Docstring(text, parent=field, lineno=field.lineno)

    @staticmethod
    def _comments(cls: griffe.Class) -> dict[int, str]:
        """Line number to the comment at its end."""
        tokens = tokenize.generate_tokens(io.StringIO("\n".join(cls.lines) + "\n").readline)
        try:
            found = [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT and t.line.strip()[0] != "#"]
        except (tokenize.TokenError, IndentationError):
            return {}
        return {cls.lineno + line - 1: _literal(text.lstrip("# ").rstrip()) for line, text in found}


def _literal(text: str) -> str:
    """The text with Markdown's signs escaped, outside of code."""
    parts = text.split("`")
    return "`".join(re.sub(r"([\\*_\[\]<])", r"\\\1", part) if k % 2 == 0 else part for k, part in enumerate(parts))
