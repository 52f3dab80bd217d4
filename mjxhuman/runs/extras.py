"""Optional packages: imported when something needs them, with a message that says what does and how to install them."""

from __future__ import annotations

import importlib
from typing import Any


def optional(module: str, extra: str, what: str) -> Any:
    """A module of a package that only an extra installs.

    Args:
        module: to import.
        extra: of this project.
        what: needs it, for the message.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{what} needs the extra {extra!r}: pip install 'mjxhuman[{extra}]' (missing: {error.name or module})",
            name=error.name,
        ) from error
