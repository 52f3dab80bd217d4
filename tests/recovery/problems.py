"""Small whole-clip problems: a walker's joints seen by cameras around it."""

from __future__ import annotations

import numpy as np
from synthetic_sources import moving_pose

from mjxhuman.math import camera, quaternion
from mjxhuman.recovery.equations import Path
from mjxhuman.recovery.residuals import Evidence, Subject
from mjxhuman.retarget.chain import forward_clip

K = np.array([[1200.0, 0.0, 640.0], [0.0, 1200.0, 360.0], [0.0, 0.0, 1.0]])


def make_clip(chain, frames: int = 40, views: int = 2, noise: float = 0.15, path=None):
    """The 22 joints seen by cameras around the walker; starts from a disturbed path."""
    rng = np.random.default_rng(5)
    root, local = moving_pose(chain, frames) if path is None else path
    pos, quat = forward_clip(chain, root, local)
    where = [camera.look_at([4.0 * np.cos(a), 4.0 * np.sin(a), 1.6], [0.0, 0.0, 0.9]) for a in (0.4, 2.0, 4.0)]
    pixels = np.stack([np.asarray(camera.project(pos[:, :22], K, w, np.zeros(4))[0]) for w in where[:views]], 1)
    view = np.stack([np.linalg.inv(np.asarray(w, float))[:3] for w in where[:views]])
    anchor = pos[:, :1] + quaternion.rotate(quat[:, :1], np.array([0.0, -0.06, 0.0]))
    foot = np.array([[0.0, -0.05, 0.1], [0.0, -0.05, -0.05]])
    evidence = Evidence(
        view=np.tile(view, (frames, 1, 1, 1)), lens=np.tile([1200.0, 1200.0, 640.0, 360.0], (frames, views, 1)),
        uv=pixels.astype(float), weight=np.full((frames, views, 22), 0.2), landmark=pos[:, :22] - anchor,
        landmark_weight=np.full((frames, 22), 5.0), touch=np.zeros((frames, 2)), hold=np.zeros((frames, 2)),
    )  # fmt: skip
    subject = Subject(
        offsets=chain.offsets[:22], body=np.arange(22), point=np.zeros((22, 3)), anchor=np.array([0.0, -0.06, 0.0]),
        foot_body=np.array([7, 8]), foot=foot, reference=np.tile([1.0, 0.0, 0.0, 0.0], (22, 1)),
        reference_weight=np.full((22, 3), 0.03), bend_weight=np.full((23, 3), 1e-2), floor_weight=np.array(0.0),
        hold_weight=np.array(0.0), pixel_scale=np.array(100.0), landmark_scale=np.array(100.0), shared=np.zeros(3),
        shared_precision=np.full(3, 1e12),
    )  # fmt: skip
    turn = rng.normal(0.0, noise, (frames, 22, 3))
    length = np.linalg.norm(turn, axis=-1, keepdims=True)
    quats = np.concatenate([np.cos(length / 2), np.sin(length / 2) * turn / length], -1)
    start = Path(root + rng.normal(0.0, 0.05, root.shape), quaternion.multiply(local, quats), np.zeros(3))
    return evidence, subject, start, root, local, pos


def heavy(evidence, subject, start):
    """The same with every residual in play and every shared unknown away from its prior."""
    rng = np.random.default_rng(1)
    frames = len(evidence.uv)
    evidence = evidence._replace(touch=rng.uniform(0, 1, (frames, 2)), hold=rng.uniform(0, 1, (frames, 2)))
    subject = subject._replace(
        floor_weight=np.array(5.0), hold_weight=np.array(7.0), bend_weight=np.full((23, 3), 3.0),
        reference_weight=np.full((22, 3), 0.7), pixel_scale=np.array(6.0), landmark_scale=np.array(2.0),
        shared_precision=np.array([30.0, 20.0, 40.0]),
    )  # fmt: skip
    return evidence, subject, start._replace(shared=np.array([0.1, -0.05, 0.7]))
