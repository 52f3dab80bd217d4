"""Videos of the built-in clips that nobody filmed: exact rays, and an estimate that is off by a little."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.encoders.lifting import RAY_JOINTS, Rays
from mjxhuman.physics.coordinates import coordinates
from mjxhuman.recovery.visual import VisualTrack

#: Numbers of a feature, of which the tests' networks have few.
FEATURES = 8


@pytest.fixture(scope="session")
def tracks(library, humanoid) -> list[list[VisualTrack]]:
    """Two views of each clip."""
    rng = np.random.default_rng(0)
    found = []
    for start, length in zip(np.asarray(library.start), np.asarray(library.length), strict=True):
        qpos = np.asarray(library.qpos)[start : start + length]
        found.append([_track(humanoid, qpos, np.array([x, 3.0, 1.5]), rng, library.fps) for x in (-2.0, 2.0)])
    return found


def _track(humanoid, qpos: np.ndarray, eye: np.ndarray, rng, fps: float) -> VisualTrack:
    from mjxhuman.physics.motion import motion_from_qpos

    frames = len(qpos)
    off = np.repeat(0.03 * rng.normal(size=(1, humanoid.model.nv)), frames, 0)
    estimate = np.asarray(coordinates(humanoid.model).displaced(jnp.asarray(qpos), jnp.asarray(off, jnp.float32)))
    motion = motion_from_qpos(humanoid, qpos, fps)
    points = np.asarray(motion.body_pos)[:, [humanoid.body_names.index(name) for name in RAY_JOINTS]]
    rays = Rays(np.tile(eye, (frames, 1)), points, rng.uniform(0.2, 1.0, (frames, 12)), RAY_JOINTS)
    quat = rng.normal(size=(frames, 4))
    return VisualTrack(
        rng.normal(size=(frames, FEATURES)), quat / np.linalg.norm(quat, axis=-1, keepdims=True), rays, estimate,
        np.ones((frames, 24), bool), np.ones(frames, bool), fps, "made up", humanoid.name,
    )  # fmt: skip
