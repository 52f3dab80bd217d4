"""BlazePose: 33 body landmarks in 2D and 3D of everyone in a video, on a CPU, with weights that pip installs.

Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose tracking"; its 3D: Xu et al. 2020, "GHUM & GHUML".
MediaPipe runs in a Python environment of its own (``mediapipe_home``), in processes that get pictures through a pipe
(``blazepose_worker``); decoding and the network run at the same time. Several videos are encoded in parallel by as many
processes.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import struct
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.data.video import Picture, Video
from mjxhuman.encoders import mediapipe_home
from mjxhuman.encoders.base import AnyVideo, Encoding, collect
from mjxhuman.runs.files import file_sha256
from mjxhuman.runs.progress import progress
from mjxhuman.types import Camera

_SCRIPT = Path(__file__).with_name("blazepose_worker.py")
_NAMES = LAYOUTS["blazepose"]
_NOTE = "BlazePose's 3D landmarks are those of a person of average size"


class BlazePose:
    """The encoder ``blazepose``.

    Args:
      people: followed at the same time, at most.
      processes: that run at the same time, at most; each takes one video.
      model: "full", or "heavy", which mixes up sides less; None takes the best that is installed.

    Raises:
      NotInstalled: MediaPipe's environment or the network is not there; the message says how to get it.
      ValueError: a number below 1, an unknown network.
    """

    name = "blazepose"
    takes_device_arrays = False

    def __init__(self, people: int = 4, processes: int = 1, model: str | None = None) -> None:
        if people < 1 or processes < 1:
            raise ValueError(f"blazepose: expected people and processes of at least 1, found {people}, {processes}")
        self._people = people
        self._python = mediapipe_home.interpreter()
        self.model = _model(model)
        self._idle: list[_Worker] = []
        self._slots = threading.BoundedSemaphore(processes)
        _OPEN.add(self)

    def fingerprint(self) -> str:
        """MediaPipe's version, the network, the tracking script's hash, the number of people."""
        version, script = mediapipe_home.VERSION, file_sha256(_SCRIPT)[:16]
        return f"blazepose mediapipe {version} {self.model} {script} people {self._people}"

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """Everyone in the video; the camera is not used.

        Raises:
          MotionFileError: a video that cannot be read. RuntimeError: MediaPipe stopped; the message has its last words.
        """
        times, found, looks = [], [], []
        label = f"{self.name} {video.path.name}"
        quiet = not isinstance(video, Video)  # a trainer's batch has no use for a bar per video
        with self._worker() as worker, progress(video.frames, unit="frame", label=label, quiet=quiet) as bar:
            for time, people, colours in worker.run(video):
                bar.update()
                times.append(time)
                looks.append(colours)
                found.append({"uv": people[..., :2], "confidence": people[..., 2], "pos3d": people[..., 3:]})
        return collect(video, self.name, times, found, _NAMES, notes=(f"by BlazePose {self.model}", _NOTE), looks=looks)

    @contextlib.contextmanager
    def _worker(self) -> Iterator[_Worker]:
        """A process for one video; it goes back to the others unless something went wrong in it."""
        with self._slots:
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = _Worker(self._python, self._people, mediapipe_home.MODELS[self.model])
            try:
                yield worker
            except BaseException:
                worker.stop()
                raise
            self._idle.append(worker)

    def close(self) -> None:
        """Stop the processes that wait."""
        while self._idle:
            self._idle.pop().stop()


def _model(name: str | None) -> str:
    """The network asked for, or the best there is.

    Raises:
      ValueError: an unknown one. NotInstalled: it is not there.
    """
    known, there = tuple(mediapipe_home.MODELS), mediapipe_home.models()
    if name is None:
        return there[0] if there else known[-1]
    if name not in known:
        raise ValueError(f"blazepose: model: expected {' or '.join(known)}, found {name!r}")
    if name not in there:
        raise mediapipe_home.NotInstalled(
            f"blazepose: expected the pose network {name}, found {', '.join(there) or 'none'} in "
            f"{mediapipe_home.home()}; {mediapipe_home.COMMAND} --help says where it comes from"
        )
    return name


_OPEN: weakref.WeakSet[BlazePose] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for encoder in list(_OPEN):
        encoder.close()


class _Worker:
    """One process of ``blazepose_worker``."""

    def __init__(self, python: Path, people: int, complexity: int) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        self._process = subprocess.Popen(
            [str(python), "-I", str(_SCRIPT), str(people), str(complexity)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        ready = self._out.readline().decode().split()
        if ready != ["ready", mediapipe_home.VERSION]:
            found = ready[1] if len(ready) > 1 else "nothing"
            self._fail(f"{python}: expected MediaPipe {mediapipe_home.VERSION}, found {found}")

    def run(self, video: AnyVideo) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """Time, landmarks (n, 33, 6) and colours (n, 15) of every picture; the next one is decoded meanwhile."""
        sent: queue.SimpleQueue[float | BaseException | None] = queue.SimpleQueue()
        feeder = threading.Thread(target=self._feed, args=(video, sent), name="mjxhuman-frames", daemon=True)
        feeder.start()
        while (item := sent.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item, *self._answer()
        feeder.join()

    def _feed(self, video: AnyVideo, sent: queue.SimpleQueue[float | BaseException | None]) -> None:
        try:
            self._write(b"R")
            for picture in video:
                sent.put(picture.time)
                self._send(picture)
            sent.put(None)
        except BrokenPipeError:
            sent.put(RuntimeError(f"blazepose: MediaPipe stopped: {self._last_words()}"))
        except BaseException as error:  # raised where the result is waited for
            sent.put(error)

    def _send(self, picture: Picture) -> None:
        height, width = picture.image.shape[:2]
        self._write(b"P" + struct.pack("<II", height, width), np.ascontiguousarray(picture.image).data)

    def _write(self, *parts: bytes | memoryview) -> None:
        for part in parts:
            self._in.write(part)
        self._in.flush()

    def _answer(self) -> tuple[np.ndarray, np.ndarray]:
        (count,) = struct.unpack("<I", self._exactly(4))
        points = np.frombuffer(self._exactly(count * len(_NAMES) * 6 * 4), "<f4")
        colours = np.frombuffer(self._exactly(count * 15 * 4), "<f4")
        return points.reshape(count, len(_NAMES), 6), colours.reshape(count, 15)

    def _exactly(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) != count:
            self._fail("blazepose: MediaPipe stopped")
        return data

    def _fail(self, what: str) -> None:
        self.stop()
        raise RuntimeError(f"{what}: {self._last_words()}")

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._in.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._out.close()
