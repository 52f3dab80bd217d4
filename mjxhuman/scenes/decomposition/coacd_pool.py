"""CoACD on several meshes at once, a process for each."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

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


class _Processes:
    """Those that run, so that they can be ended together."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._ended = False
        self._lock = threading.Lock()

    def run(self, command: list[str]) -> bool:
        """Whether a process ended well; none is started after ``end``."""
        with self._lock:
            if self._ended:
                return False
            quiet, one_thread = subprocess.DEVNULL, os.environ | {"OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(command, env=one_thread, stdin=quiet, stdout=quiet, stderr=quiet)
            self._running.append(process)
        return process.wait() == 0

    def end(self) -> None:
        """Kill them."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()


def take_apart(
    meshes: Sequence[Mesh], concavity: float, seed: int = 0, progress: bool = False
) -> list[list[np.ndarray]]:
    """Corners ``(N, 3)`` of the convex pieces of each mesh; none where CoACD fails.

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
    found: list[list[np.ndarray]] = [[] for _ in meshes]
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


def _one(mesh: Mesh, options: dict[str, object], file: Path, processes: _Processes) -> list[np.ndarray]:
    given, made = f"{file}.mesh.npz", f"{file}.pieces.npz"
    best: list[np.ndarray] = []
    for preprocess in _PREPROCESS:
        text = json.dumps(options | {"preprocess_mode": preprocess})
        np.savez(given, vertices=np.asarray(mesh.vertices, np.float64), faces=mesh.faces, options=np.array(text))
        if not processes.run([sys.executable, "-P", str(coacd_worker.__file__), given, made]):
            continue
        with np.load(made) as pieces:
            found = [pieces[name] for name in pieces.files]
        best = [points for points in found if len(points) > 3 and width(points) > 0]
        if best and _uncovered(mesh.vertices, best) < _COVER:
            break
    return best


def _uncovered(points: np.ndarray, pieces: list[np.ndarray]) -> float:
    """How far, m, a point is outside of all pieces at most (by the planes of the nearest)."""
    return float(np.min([(points @ p[:, :3].T - p[:, 3]).max(1) for p in map(faces_of, pieces)], axis=0).max())
