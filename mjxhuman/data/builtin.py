"""The project's own motion, made by ``experiments/make_builtin_clip.py``: nothing licence-bound is needed to begin."""

from __future__ import annotations

from pathlib import Path

from mjxhuman.data.npz import QposMotion
from mjxhuman.data.read import read_motion

CLIPS = ("walk", "jump")


def load_builtin_clip(name: str = "walk") -> QposMotion:
    """A clip that comes with the package, in the coordinates of the default body with ball joints.

    ``walk``: seven steps of level walking, 1.30 m/s along +x, 112 steps a minute, 225 frames at 60 Hz, synthetic,
    exactly periodic and left-right symmetric. The joint angles are published normative ones, moved by 0-4 degrees (root
    mean square; at most 9) so that the soles stand still and the floor can give the forces. Unexplained force 0.012
    body weights, slip 0.04 m/s (0.09 while the load passes from foot to foot).

    ``jump``: a vertical jump with counter-movement and arm swing, 151 frames at 60 Hz, synthetic and symmetric: 0.22 s
    without any load, the centre of mass up to 22 cm above that of standing. Its key poses are typical ones; fitting
    them to floor and free fall moved knee and ankle by 11-13 degrees (at most 38, around take-off and landing).
    Unexplained force 0.012 body weights, in flight below 0.005 (the acceleration is that of gravity to 0.06 m/s^2, to
    0.5 without the filter), slip 0.004 m/s.

    Neither is a recording; the sources of the angles stand in ``provenance.conventions``.

    A ``Motion`` of it: ``motion_from_qpos(load_humanoid("smpl"), clip.qpos, clip.fps, provenance=clip.provenance)``.

    Raises:
        ValueError: no clip of that name.
    """
    motion = read_motion(builtin_path(name))
    assert isinstance(motion, QposMotion)
    return motion


def builtin_path(name: str = "walk") -> Path:
    """The file of a built-in clip.

    Raises:
        ValueError: no clip of that name.
    """
    if name not in CLIPS:
        raise ValueError(f"built-in clip: expected one of {', '.join(CLIPS)}, found {name!r}")
    return Path(__file__).parent / "clips" / f"{name}.npz"
