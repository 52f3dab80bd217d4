"""CoACD on several meshes at once, a process for each."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mjxhuman.runs.progress import progress as bar_of
from mjxhuman.scenes.convex import faces_of
from mjxhuman.scenes.decomposition import coacd_worker
from mjxhuman.scenes.decomposition.hulls import width
from mjxhuman.scenes.types import Mesh

#: First as given, then remeshed: that lets CoACD take any mesh, but puts its surface a voxel's part outwards.
_PREPROCESS = ("off", "on")
#: m; pieces that leave a corner of their mesh farther outside than this are not of it.
_COVER = 2e-3
#: Effort of CoACD's tree search and points by which it measures a distance: pieces of much the same shape as with its
#: defaults, for a third to a half of the time.
OPTIONS: dict[str, object] = {
    "mcts_iterations": 60,
    "mcts_nodes": 10,
    "mcts_max_depth": 2,
    "resolution": 1000,
    "preprocess_resolution": 100,
    "real_metric": True,
}
#: Seconds of processor time that a search may take (a chair's longest takes 5); one that takes more is ended and made
#: once more with ``COARSE``, which takes a few.
LIMIT = 60
COARSE: dict[str, object] = {"preprocess_mode": "on", "preprocess_resolution": 20, "threshold": 0.08}
#: Codes of a process that the system ended for that.
_OUT_OF_TIME = () if sys.platform == "win32" else (-signal.SIGXCPU,)


class Found(NamedTuple):
    """What became of one mesh."""

    pieces: list[np.ndarray]  # corners (N, 3) of each; none where CoACD fails
    late: bool = False  # the search ran into ``LIMIT``: the pieces are coarse, or none


class _Processes:
    """Those that run, so that they can be ended together."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._ended = False
        self._lock = threading.Lock()

    def run(self, command: list[str], seconds: int) -> tuple[bool, bool]:
        """Whether a process ended well, and whether it ran out of time; none is started after ``end``."""
        with self._lock:
            if self._ended:
                return False, False
            quiet, one_thread = subprocess.DEVNULL, os.environ | {"OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(command, env=one_thread, stdin=quiet, stdout=quiet, stderr=quiet)
            self._running.append(process)
        try:
            code = process.wait(seconds if sys.platform == "win32" else None)
        except subprocess.TimeoutExpired:
            process.kill()
            return False, True
        return code == 0, code in _OUT_OF_TIME

    def end(self) -> None:
        """Kill them."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()


def take_apart(meshes: Sequence[Mesh], concavity: float, seed: int = 0, progress: bool = False) -> list[Found]:
    """The convex pieces of each mesh.

    Args:
      meshes: closed, faces counter-clockwise from outside.
      concavity: m that may lie between a mesh and its pieces.
      seed: of the search.
      progress: a bar on the terminal.

    Raises:
      ImportError: CoACD is not installed.
    """
    if not meshes:
        return []
    if importlib.util.find_spec("coacd") is None:
        raise ImportError("taking meshes apart needs CoACD: pip install 'mjxhuman[scenes]'")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = _Processes()
    found = [Found([]) for _ in meshes]
    options = OPTIONS | {"threshold": concavity, "seed": seed}
    with (
        tempfile.TemporaryDirectory() as folder,
        bar_of(len(meshes), unit="component", label="convex pieces", quiet=not progress) as bar,
        ThreadPoolExecutor(min(len(meshes), cores)) as pool,
    ):
        waiting = {pool.submit(_one, m, options, Path(folder) / str(k), processes): k for k, m in enumerate(meshes)}
        try:
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
                bar.update(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()
            raise
    return found


def _one(mesh: Mesh, options: dict[str, object], file: Path, processes: _Processes) -> Found:
    best: list[np.ndarray] = []
    for preprocess in _PREPROCESS:
        found, late = _search(mesh, options | {"preprocess_mode": preprocess}, file, processes)
        if late:
            return Found(best or _search(mesh, options | COARSE, file, processes)[0], late=True)
        best = found or best
        if found and _uncovered(mesh.vertices, found) < _COVER:
            break
    return Found(best)


def _search(mesh: Mesh, options: dict[str, object], file: Path, processes: _Processes) -> tuple[list[np.ndarray], bool]:
    """Pieces, none where the process failed, and whether it ran out of time."""
    given, made = f"{file}.mesh.npz", f"{file}.pieces.npz"
    text = np.array(json.dumps(options))
    np.savez(given, vertices=np.asarray(mesh.vertices, np.float64), faces=mesh.faces, options=text)
    worker = str(coacd_worker.__file__)
    well, late = processes.run([sys.executable, "-P", worker, given, made, str(LIMIT)], LIMIT)
    if not well:
        return [], late
    with np.load(made) as pieces:
        found = [pieces[name] for name in pieces.files]
    return [points for points in found if len(points) > 3 and width(points) > 0], False


def _uncovered(points: np.ndarray, pieces: list[np.ndarray]) -> float:
    """How far, m, a point is outside of all pieces at most (by the planes of the nearest)."""
    return float(np.min([(points @ p[:, :3].T - p[:, 3]).max(1) for p in map(faces_of, pieces)], axis=0).max())
