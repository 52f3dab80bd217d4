"""Many items through stages of workers: processes of this machine, or Ray actors of a cluster.

    stages = [WorkStage("encode", make_encoder, workers=8), WorkStage("score", make_scorer, workers=0)]
    with Pipeline(stages) as pipeline:
        for outcome in pipeline.map(videos):      # in the order of the items
            outcome.value, outcome.error          # "" where there is a value

Each worker calls its stage's ``make`` once and then what that returned for item after item. Results do not depend on
how many workers there are or on when they finish. An item that raises, takes longer than its stage allows, or whose
worker dies is tried once more, by a new worker if need be; then the error takes the place of its value.
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from mjxhuman.runs.extras import optional
from mjxhuman.runs.terminal import message

#: Times that an item is tried.
_TRIES = 2
#: Items that wait before a later stage, for each of its workers: what an earlier one is ahead by at most.
_WAITING = 2
#: Seconds that a dead worker's exit code is waited for.
_PATIENCE = 5.0
#: Seconds after which who waits looks whether the pipeline was closed.
_NAP = 0.1

Function = Callable[[Any], Any]


class WorkerLostError(RuntimeError):
    """A worker that died, or was ended because its item took too long."""


class ItemError(ValueError):
    """What the function of an item raised, in words: not every exception survives the way between processes."""


@dataclasses.dataclass(frozen=True)
class WorkStage:
    """One thing that is done with every item.

    Attributes:
        name: for messages.
        make: called once in each worker; returns the function of an item. It has to be picklable: a function of a
            module, or a ``functools.partial`` of one.
        workers: how many there are; 0: this process, one item at a time (who owns a device).
        seconds: that an item may take; None: as long as it likes.
        cpus, gpus: of a Ray actor.
    """

    name: str
    make: Callable[[], Function]
    workers: int = 1
    seconds: float | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"{self.name}: workers: expected 0 or more, found {self.workers}")
        if self.seconds is not None and self.seconds <= 0:
            raise ValueError(f"{self.name}: seconds: expected a positive time, found {self.seconds}")


class WorkResult(NamedTuple):
    """Of an item: what the last stage made of it, or why there is nothing."""

    value: Any
    error: str = ""


class Ticket:
    """Items that were handed over together."""

    def __init__(self, count: int) -> None:
        self._outcomes: list[WorkResult | None] = [None] * count
        self._left, self._lock, self._done = count, threading.Lock(), threading.Event()
        if not count:
            self._done.set()

    def _finish(self, place: int, outcome: WorkResult) -> None:
        with self._lock:
            self._outcomes[place] = outcome
            self._left -= 1
            if not self._left:
                self._done.set()

    def wait(self) -> list[WorkResult]:
        """The outcomes, in the order of the items, when all are there."""
        self._done.wait()
        return [outcome for outcome in self._outcomes if outcome is not None]


class _Job(NamedTuple):
    ticket: Ticket
    place: int
    item: Any


class Pipeline:
    """Stages one after the other, with workers that start at the first item and stay until ``close``.

    Args:
        stages: at least one. backend: "local", or "ray" (the extra ``ray``; a cluster that was joined before, else one
            of this machine).

    Raises:
        ValueError: no stage, or another backend. ModuleNotFoundError: the extra is not installed.
    """

    def __init__(self, stages: Sequence[WorkStage], backend: str = "local") -> None:
        if not stages:
            raise ValueError("stages: expected at least one, found none")
        if backend not in _BACKENDS:
            raise ValueError(f"backend: expected one of {', '.join(_BACKENDS)}, found {backend!r}")
        if backend == "ray":
            _join_ray()
        self.stages, self._start = tuple(stages), _BACKENDS[backend]
        # what comes first waits in one queue without an end: handing over must not wait for the workers
        self._queues: list[queue.Queue[_Job]] = [
            queue.Queue(_WAITING * max(1, stage.workers) if i else 0) for i, stage in enumerate(stages)
        ]
        self._threads: list[threading.Thread] = []
        self._hands: list[_Hands] = []
        self._lock, self._closed = threading.Lock(), threading.Event()

    def submit(self, items: Iterable[Any]) -> Ticket:
        """Hand items over; returns at once.

        Raises:
            RuntimeError: it is closed.
        """
        self._begin()
        items = list(items)
        ticket = Ticket(len(items))
        for place, item in enumerate(items):
            self._queues[0].put(_Job(ticket, place, item))
        return ticket

    def collect(self, ticket: Ticket) -> list[WorkResult]:
        """The outcomes of what was handed over, in its order; waits for the last one."""
        return ticket.wait()

    def map(self, items: Iterable[Any], ahead: int | None = None) -> Iterator[WorkResult]:
        """Outcomes in order, of items that are taken when there is room.

        Args:
            items: any number of them. ahead: items under way at most; None: twice as many as workers.
        """
        ahead = ahead or 2 * sum(max(1, stage.workers) for stage in self.stages)
        items, under_way = iter(items), []
        while True:
            under_way += [self.submit([item]) for item in itertools.islice(items, ahead - len(under_way))]
            if not under_way:
                return
            yield from under_way.pop(0).wait()

    def close(self) -> None:
        """End the workers; items under way have no value."""
        self._closed.set()
        for hands in self._hands:
            hands.close()
        for thread in self._threads:
            thread.join()
        for waiting in self._queues:
            while not waiting.empty():
                self._lost(waiting.get())

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _begin(self) -> None:
        with self._lock:
            if self._closed.is_set():
                raise RuntimeError("pipeline: expected an open one, it was closed")
            if self._threads:
                return
            for i, stage in enumerate(self.stages):
                for k in range(max(1, stage.workers)):
                    hands, name = _Hands(stage, self._start), f"mjxhuman-{stage.name}-{k}"
                    self._hands.append(hands)
                    self._threads.append(threading.Thread(target=self._serve, args=(i, hands), name=name, daemon=True))
            for thread in self._threads:
                thread.start()

    def _serve(self, number: int, hands: _Hands) -> None:
        """Items of one stage, by one worker at a time."""
        waiting, last = self._queues[number], number + 1 == len(self.stages)
        while not self._closed.is_set():
            try:
                job = waiting.get(timeout=_NAP)
            except queue.Empty:
                continue
            outcome = hands.work(job.item, last)
            if outcome.error or last:
                job.ticket._finish(job.place, outcome)
            else:
                self._hand_on(number + 1, job._replace(item=outcome.value))
            del job, outcome  # an item may be a video

    def _hand_on(self, number: int, job: _Job) -> None:
        """Put an item before a stage, when there is room."""
        while not self._closed.is_set():
            try:
                return self._queues[number].put(job, timeout=_NAP)
            except queue.Full:
                continue
        self._lost(job)

    def _lost(self, job: _Job) -> None:
        job.ticket._finish(job.place, WorkResult(None, "the pipeline was closed"))


class Worker(Protocol):
    """Does one item after the other."""

    def __init__(self, stage: WorkStage) -> None: ...

    def call(self, item: Any) -> Any:
        """What the stage's function makes of an item.

        Raises:
            WorkerLostError: it is gone. Exception: the function's own.
        """
        ...

    def stop(self) -> None:
        """End it, whatever it is doing."""
        ...


class _Hands:
    """A worker, or the one that takes its place."""

    def __init__(self, stage: WorkStage, start: Callable[[WorkStage], Worker]) -> None:
        self.stage, self.start = stage, start if stage.workers else Here
        self.worker: Worker | None = None
        self.lock, self.closed = threading.Lock(), False

    def work(self, item: Any, last: bool) -> WorkResult:
        """What comes of an item; the last stage's value is fetched from where a worker left it."""
        error = ""
        for _ in range(_TRIES):
            try:
                value = self._ready().call(item)
                return WorkResult(_here(value) if last else value)
            except WorkerLostError as lost:
                self._end()
                error = f"{self.stage.name}: {lost}"
            except Exception as raised:
                error = f"{self.stage.name}: {message(raised) or type(raised).__name__}"
            if self.closed:
                break
        return WorkResult(None, error)

    def close(self) -> None:
        """End the worker in the middle of its item, and let no other take its place."""
        with self.lock:
            self.closed = True
        self._end()

    def _ready(self) -> Worker:
        with self.lock:
            if self.closed:
                raise WorkerLostError("the pipeline was closed")
            if self.worker is None:
                self.worker = self.start(self.stage)
            return self.worker

    def _end(self) -> None:
        with self.lock:
            worker, self.worker = self.worker, None
        if worker is not None:
            worker.stop()


class Here:
    """This process."""

    def __init__(self, stage: WorkStage) -> None:
        self.function = stage.make()

    def call(self, item: Any) -> Any:
        """See ``Worker``."""
        return self.function(_here(item))

    def stop(self) -> None:
        """Nothing to end."""


class Process:
    """A process of this machine, begun anew ("spawn"): nothing of JAX or of threads is inherited."""

    def __init__(self, stage: WorkStage) -> None:
        context = multiprocessing.get_context("spawn")
        self.seconds = stage.seconds
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=_work, args=(stage.make, end), daemon=True)
        self.process.start()
        end.close()  # so that the end of the process is the end of the pipe

    def call(self, item: Any) -> Any:
        """See ``Worker``."""
        try:
            self.pipe.send(item)
            if not self.pipe.poll(self.seconds):
                raise WorkerLostError(f"took longer than {self.seconds:g} s")
            value, error = self.pipe.recv()
        except (EOFError, OSError) as gone:
            self.process.join(_PATIENCE)
            raise WorkerLostError(f"the worker died (exit code {self.process.exitcode})") from gone
        if error:
            raise ItemError(error)
        return value

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.join()


def _work(make: Callable[[], Function], pipe: Any) -> None:
    """What a process does: items in, values or errors out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    function: Function | None = None
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            function = function or make()
            found = function(item), ""
        except Exception as error:
            found = None, message(error) or type(error).__name__
        try:
            pipe.send(found)
        except Exception as error:  # a value that cannot be pickled
            pipe.send((None, f"{type(error).__name__}: {error}"))


class RayActor:
    """An actor of Ray. Between stages values stay where they were made and only references travel."""

    def __init__(self, stage: WorkStage) -> None:
        self.ray, self.seconds = optional("ray", "ray", "the backend ray"), stage.seconds
        kind = self.ray.remote(num_cpus=stage.cpus, num_gpus=stage.gpus)(_Remote)
        self.actor = kind.remote(stage.make)

    def call(self, item: Any) -> Any:
        """See ``Worker``; the value is a reference."""
        value, error = self.actor.run.options(num_returns=2).remote(item)
        try:
            text = self.ray.get(error, timeout=self.seconds)
        except self.ray.exceptions.GetTimeoutError:
            raise WorkerLostError(f"took longer than {self.seconds:g} s") from None
        except self.ray.exceptions.RayActorError as gone:
            raise WorkerLostError(f"the worker died ({str(gone).strip().splitlines()[-1]})") from gone
        if text:
            raise ItemError(text)
        return value

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.ray.kill(self.actor)


class _Remote:
    """What an actor does."""

    def __init__(self, make: Callable[[], Function]) -> None:
        self.make = make
        self.function: Function | None = None

    def run(self, item: Any) -> tuple[Any, str]:
        """A value and no error, or the other way round."""
        try:
            self.function = self.function or self.make()
            return self.function(item), ""
        except Exception as error:
            return None, message(error) or type(error).__name__


_BACKENDS: dict[str, Callable[[WorkStage], Worker]] = {"local": Process, "ray": RayActor}


def _join_ray() -> None:
    ray = optional("ray", "ray", "the backend ray")
    if not ray.is_initialized():
        os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")  # else it puts a print of its own in the place of Python's
        ray.init(include_dashboard=False, log_to_driver=False)


def _here(value: Any) -> Any:
    """A value, or what Ray's reference stands for."""
    ray = sys.modules.get("ray")
    return ray.get(value) if ray is not None and isinstance(value, ray.ObjectRef) else value
