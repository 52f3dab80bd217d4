"""Recorded motion for ``experiments.train_lifter``: rotations of all clips in flat arrays, and what is held out."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import local_rotations
from mjxhuman.types import Motion

#: Frames per second of the network's input.
RATE = 30.0


class Clips(NamedTuple):
    """F frames of C clips at ``RATE``; NumPy."""

    local: np.ndarray  # (F, 22, 4) rotations in SMPL's frames, the pelvis' in the world
    root: np.ndarray  # (F, 3) m
    start: np.ndarray  # (C,) int, first frame of each clip
    length: np.ndarray  # (C,) int
    used: np.ndarray  # (C,) 1 for clips that are drawn from, 0 for others

    @property
    def minutes(self) -> float:
        """Of motion that is drawn from."""
        return float((self.used * self.length).sum()) / RATE / 60.0

    def drawn(self, which: np.ndarray, share: float = 1.0, seed: int = 0) -> Clips:
        """The same where only clips ``which`` (C,) are drawn from, chosen at random until they hold a share of them."""
        order = np.random.default_rng(seed).permutation(np.flatnonzero(which))
        before = np.cumsum(self.length[order]) - self.length[order]
        used = np.zeros(len(self.start), np.float32)
        used[order[before < share * self.length[order].sum()]] = 1.0
        return self._replace(used=used)


def rotations(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations ``(T, 22, 4)`` in SMPL's frames and the pelvis' place ``(T, 3)`` m."""
    humanoid = motion.humanoid
    assert humanoid.smpl_body_ids is not None and humanoid.smpl_frame is not None
    turn = quaternion.multiply(
        np.asarray(motion.body_quat, np.float64)[:, humanoid.smpl_body_ids],
        quaternion.conjugate(np.asarray(humanoid.smpl_frame, np.float64)),
    )
    return local_rotations(turn), np.asarray(motion.body_pos, np.float64)[:, humanoid.smpl_body_ids[0]]


def pack(motions: Sequence[Motion]) -> Clips:
    """The clips of motions at ``RATE``, frames that are not valid at either end left out."""
    from mjxhuman.physics.motion import resample

    parts = []
    for motion in motions:
        motion = motion if abs(motion.fps - RATE) < 0.01 else resample(motion, RATE)
        known = np.flatnonzero(np.asarray(motion.valid))
        local, root = (x[known[0] : known[-1] + 1] for x in rotations(motion))
        parts.append((local, root))
    length = np.array([len(root) for _, root in parts])
    return Clips(
        np.concatenate([local for local, _ in parts]).astype(np.float32),
        np.concatenate([root for _, root in parts]).astype(np.float32), np.cumsum(length) - length, length,
        np.ones(len(length), np.float32),
    )  # fmt: skip


def split(paths: Sequence[Path], held_out: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Files to train on and files held out: those whose names begin with one of ``held_out``, read as ``plain``."""
    wanted = [plain(name) for name in held_out]
    out = [path for path in paths if any(plain(path.stem).startswith(name) for name in wanted)]
    return [path for path in paths if path not in out], out


def plain(name: str) -> str:
    """A file's name without leading zeros of numbers: one recording has the same in every format."""
    return re.sub(r"\d+", lambda found: str(int(found[0])), name) + "_"


def read(paths: Sequence[Path], quiet: bool = False) -> list[Motion]:
    """The motions of files; those that cannot be read are named on stderr."""
    from mjxhuman.envs.clips import load_clips
    from mjxhuman.humanoids import load_humanoid
    from mjxhuman.runs import progress

    with progress(len(paths), unit="clip", label="load", quiet=quiet) as bar:
        loaded = load_clips(paths, load_humanoid("smpl"), lambda _: bar.update())
    for path, error in loaded.failed.items():
        print(f"train_lifter: {path}: {error.removeprefix(f'{path}: ')}", file=sys.stderr)
    return loaded.motions
