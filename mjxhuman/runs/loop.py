"""A long training of one process: steps, a log, checkpoints; stopped at any time, it continues where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mjxhuman.runs.checkpoints import Checkpoints
from mjxhuman.runs.metrics import MetricsWriter
from mjxhuman.runs.progress import progress

S = TypeVar("S")


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """Of a run.

    Attributes:
        folder: of the run: ``checkpoints/``, ``metrics.jsonl``, TensorBoard events.
        total: steps. unit, label: what the progress bar calls them and the run.
        log_every, checkpoint_every: steps. max_seconds: stop after so long, with a checkpoint; 0: no limit.
        shown: a logged number that the bar shows; "": none.
    """

    folder: Path
    total: int
    unit: str = "step"
    label: str = "train"
    log_every: int = 1
    checkpoint_every: int = 100
    max_seconds: float = 0.0
    tensorboard: bool = True
    quiet: bool = False
    shown: str = ""


def run_steps(
    options: LoopOptions,
    state: S,
    facts: Mapping[str, Any],
    step: Callable[[int, S], tuple[S, Mapping[str, Any]]],
    judge: Callable[[S], Mapping[str, Any]] | None = None,
) -> tuple[int, S, dict[str, float]]:
    """Take the steps that the folder's run lacks; SIGINT and SIGTERM end it after the current one, with a checkpoint.

    Args:
        options: of the run. state: a fresh one; that of the last checkpoint where there is one.
        facts: JSON-ready, what a continuation must share.
        step: (steps done, state) -> the next state, and numbers of the step.
        judge: of a state, logged beside the numbers of the step.

    Returns:
        Steps done, the state, and what was logged last.

    Raises:
        CheckpointMismatch: the folder's run has other facts or another state.
    """
    checkpoints, done, values, start = Checkpoints(options.folder / "checkpoints"), 0, {}, time.monotonic()
    if checkpoints.steps:
        done, state = checkpoints.restore(state, facts)
    writer = MetricsWriter(options.folder, step=done, tensorboard=options.tensorboard, config=facts)
    bar = progress(options.total, unit=options.unit, label=options.label, quiet=options.quiet, initial=done)
    with contextlib.closing(checkpoints), writer, bar as shown, stop_flag() as stop:
        while done < options.total:
            state, found = step(done, state)
            done += 1
            late = 0 < options.max_seconds < time.monotonic() - start
            last = done >= options.total or late or bool(stop)
            if last or done % options.log_every == 0:
                judged = {} if judge is None else judge(state)
                values = {name: float(value) for name, value in {**judged, **found}.items()}
                writer.write(done, values)
                if options.shown:
                    shown.set_postfix_str(f"{options.shown} {values[options.shown]:.3g}")
            if last or done % options.checkpoint_every == 0:
                checkpoints.save(done, state, facts)
            shown.update()
            if last:
                break
    return done, state, values


@contextlib.contextmanager
def stop_flag() -> Iterator[list[int]]:
    """A list that gets the number of a received SIGINT or SIGTERM; a second one acts as usual."""
    received: list[int] = []
    old = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, old[signal.Signals(number)])

    try:
        for kind in old:
            signal.signal(kind, note)
    except ValueError:  # not the main thread: signals are the caller's
        yield received
        return
    try:
        yield received
    finally:
        for kind, handler in old.items():
            signal.signal(kind, handler)
