"""A long training of one process: steps, a log, checkpoints; stopped at any time, it continues where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

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
        judge_every: steps between judgements; 0: with each line of the log.
        shown: a logged number that the bar shows; "": none.
    """

    folder: Path
    total: int
    unit: str = "step"
    label: str = "train"
    log_every: int = 1
    checkpoint_every: int = 100
    judge_every: int = 0
    max_seconds: float = 0.0
    tensorboard: bool = True
    quiet: bool = False
    shown: str = ""


class OutOfBounds(Exception):
    """Raised by who judges a state: the run ends, and the last checkpoint is its result.

    Args:
        reason: why. values: what was measured, for the log.
    """

    def __init__(self, reason: str, values: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.values = values


class LoopResult(NamedTuple, Generic[S]):
    """How a run ended."""

    done: int  # steps
    state: S
    values: dict[str, float]  # logged last
    stopped: str = ""  # why it left its bounds


def run_steps(
    options: LoopOptions,
    state: S,
    facts: Mapping[str, Any],
    step: Callable[[int, S], tuple[S, Mapping[str, Any]]],
    judge: Callable[[S], Mapping[str, Any]] | None = None,
) -> LoopResult[S]:
    """Take the steps that the folder's run lacks; SIGINT and SIGTERM end it after the current one, with a checkpoint.

    Args:
        options: of the run. state: a fresh one; that of the last checkpoint where there is one.
        facts: JSON-ready, what a continuation must share.
        step: (steps done, state) -> the next state, and numbers of the step.
        judge: of a state, logged beside the numbers of the step; may raise ``OutOfBounds``.

    Raises:
        CheckpointMismatch: the folder's run has other facts or another state.
    """
    checkpoints, start = Checkpoints(options.folder / "checkpoints"), time.monotonic()
    if not checkpoints.steps:
        checkpoints.save(0, state, facts)
    ran: LoopResult[S] = LoopResult(*checkpoints.restore(state, facts), {})
    writer = MetricsWriter(options.folder, step=ran.done, tensorboard=options.tensorboard, config=facts)
    bar = progress(options.total, unit=options.unit, label=options.label, quiet=options.quiet, initial=ran.done)
    with contextlib.closing(checkpoints), writer, bar as shown, stop_flag() as stop:
        while ran.done < options.total and not ran.stopped:
            state, found = step(ran.done, ran.state)
            ran = ran._replace(done=ran.done + 1, state=state)
            late = 0 < options.max_seconds < time.monotonic() - start
            last = ran.done >= options.total or late or bool(stop)
            ran = _logged(options, ran, found, judge, writer, last)
            if ran.stopped:
                done, state = checkpoints.restore(ran.state, facts)
                ran = ran._replace(done=done, state=state)
            elif last or ran.done % options.checkpoint_every == 0:
                checkpoints.save(ran.done, ran.state, facts)
            if options.shown in ran.values:
                shown.set_postfix_str(f"{options.shown} {ran.values[options.shown]:.3g}")
            shown.update()
            if last:
                break
    return ran


def _logged(
    options: LoopOptions,
    ran: LoopResult[S],
    found: Mapping[str, Any],
    judge: Callable[[S], Mapping[str, Any]] | None,
    writer: MetricsWriter,
    last: bool,
) -> LoopResult[S]:
    """The run with what was measured of it, which is written where it is due."""
    due = last or ran.done % options.log_every == 0
    judged: Mapping[str, Any] = {}
    stopped = ""
    if judge is not None and (last or ran.done % (options.judge_every or options.log_every) == 0):
        due = True
        try:
            judged = judge(ran.state)
        except OutOfBounds as out:
            judged, stopped = out.values, str(out)
    if not due:
        return ran
    values = {name: float(value) for name, value in {**judged, **found}.items()}
    writer.write(ran.done, values)
    return ran._replace(values=values, stopped=stopped)


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
