"""One progress bar for every loop that takes longer than a breath, and a line for what is no loop."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm


def progress(
    total: int | None, *, unit: str = "it", label: str = "", quiet: bool = False, initial: int = 0
) -> tqdm[Any]:
    """A bar on stderr with count, rate and time left; silent when stderr is not a terminal.

    Args:
        total: number of steps, None if unknown.
        unit: what is counted, for example "clip".
        label: text before the bar.
        quiet: no bar in any case.
        initial: steps already done by an earlier run; they do not count for the rate.

    Returns:
        A tqdm bar: a context manager with ``update(n)``, ``set_postfix_str(text)`` and ``write(text)``.
    """
    return tqdm(
        total=total,
        unit=unit,
        desc=label or None,
        initial=initial,
        disable=True if quiet else not sys.stderr.isatty(),
        file=sys.stderr,
        dynamic_ncols=True,
        smoothing=0.1,
        mininterval=0.2,
        unit_scale=False,
    )


#: After so long (s) it is said what a program is busy with.
PATIENCE = 1.5
_said: set[str] = set()


@contextlib.contextmanager
def busy(text: str, *, again: bool = True) -> Iterator[None]:
    """Say on the terminal what the block is doing, if it takes longer than a breath.

    Args:
        text: for example "fitting a body to walk.bvh"; nothing is said where stderr is no terminal.
        again: True: not beside a bar, which says enough. False: once per process, above the bar (compiling).
    """
    if not sys.stderr.isatty() or (not again and text in _said):
        yield
        return

    def say() -> None:
        if again and any(not bar.disable for bar in getattr(tqdm, "_instances", ())):
            return
        _said.add(text)
        tqdm.write(f"{text} ...", file=sys.stderr)

    timer = threading.Timer(PATIENCE, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def compiling(what: str) -> Iterator[None]:
    """``busy`` with compiling a program: once per process, and with why."""
    with busy(
        f"compiling {what} for this machine (some 20 s the first time; later runs load it from the cache)", again=False
    ):
        yield
