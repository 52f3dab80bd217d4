"""What carries the body, in words."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mjxhuman.report.carriers import carriers, clearance
from mjxhuman.report.glossary import CARRIERS
from mjxhuman.report.pack import ClipReport, motion_payload
from mjxhuman.scenes.surface import Plane

STANDING, HIGH, SUNK = 0.0, 0.3, -0.1


def test_clearance_is_that_of_mujocos_poses(make_clip, humanoid):
    motion = make_clip(frames=6).motion
    data = mujoco.MjData(humanoid.model)
    data.qpos[:] = motion.qpos[4]
    mujoco.mj_kinematics(humanoid.model, data)
    points = humanoid.contacts
    height = [
        data.xpos[b, 2] + (data.xmat[b].reshape(3, 3) @ offset)[2] - radius
        for b, offset, radius in zip(points.body_id, points.offset, points.radius, strict=True)
    ]
    found = clearance(humanoid, np.asarray(motion.body_pos), np.asarray(motion.body_quat), Plane())
    assert found[4] == pytest.approx(min(height), abs=1e-6)


@pytest.mark.parametrize(
    ("height", "load", "missing", "expected"),
    [
        (STANDING, 1.0, (0, 0, 0), "carried"),
        (STANDING, 1.0, (0, 0, 0.09), "carried"),
        (HIGH, 0.0, (0, 0, 0), "falling"),
        (STANDING, 1.0, (0.4, 0, 0), "unexplained"),
        (STANDING, 1.0, (0, 0, -0.4), "unexplained"),
        (SUNK, 0.2, (0, 0, 0.8), "unexplained"),
        (HIGH, 0.0, (0, 0, 1.0), "nowhere"),
        (HIGH, 0.0, (0.4, 0, 0), "nowhere"),
        (STANDING, 0.3, (0, 0, 0.7), "nowhere"),
    ],
)
def test_kinds_of_support(make_clip, height, load, missing, expected):
    clip = make_clip(frames=4)
    motion, dynamics, weight = clip.motion, clip.dynamics, clip.motion.humanoid.weight
    pos = np.array(motion.body_pos)
    pos[..., 2] += height - clearance(motion.humanoid, pos, np.asarray(motion.body_quat), Plane())[:, None]
    com = pos[:, 1]  # no arm between root and centre of mass: the force alone is missing
    residual = np.tile((*(weight * np.array(missing)), 0, 0, 0), (4, 1))
    forces = dynamics.replace(grf=load * np.asarray(dynamics.grf), residual=residual, com=com)
    found = carriers(motion.replace(body_pos=pos), forces)
    assert [list(CARRIERS)[k] for k in found] == [expected] * 4


def test_a_missing_moment_counts_about_the_centre_of_mass(make_clip):
    clip = make_clip(frames=4)
    weight = clip.motion.humanoid.weight
    root = np.asarray(clip.motion.body_pos)[:, 1]
    com = root + [0.2, 0, 0]
    # a small force through the centre of mass has a moment about the root, and none is missing
    force = np.tile([0, 0, 0.09 * weight], (4, 1))
    residual = np.hstack([force, np.cross(com - root, force)])
    assert set(carriers(clip.motion, clip.dynamics.replace(com=com, residual=residual))) <= {0, 1}
    turned = np.hstack([0 * force, np.tile([0, 0.05 * weight, 0], (4, 1))])
    assert not set(carriers(clip.motion, clip.dynamics.replace(com=com, residual=turned))) & {0, 1}


def test_thinned_clips_keep_the_worst(make_clip):
    clip = make_clip(frames=100)
    residual = np.zeros((100, 6))
    residual[13, 0] = 0.5 * clip.motion.humanoid.weight
    clip = type(clip)(clip.name, clip.scores, clip.motion, clip.dynamics.replace(residual=residual))
    shown = motion_payload(clip, max_frames=30)["dynamics"]["carrier"]
    assert len(shown) == 25 and shown[3] >= 2 and max(shown[:3] + shown[4:]) < 2


def test_touching_is_asked_of_the_surface(make_clip):
    clip = make_clip(frames=4)
    pos = np.array(clip.motion.body_pos)
    pos[..., 2] += 0.5 - clearance(clip.motion.humanoid, pos, np.asarray(clip.motion.body_quat), Plane())[:, None]
    residual = np.tile([0.4 * clip.motion.humanoid.weight, 0, 0, 0, 0, 0], (4, 1))
    motion, forces = clip.motion.replace(body_pos=pos), clip.dynamics.replace(residual=residual, com=pos[:, 1])
    names = list(CARRIERS)
    assert [names[k] for k in carriers(motion, forces)] == ["nowhere"] * 4
    raised = Plane(point=np.array([0.0, 0.0, 0.5]))
    assert [names[k] for k in carriers(motion, forces, raised)] == ["unexplained"] * 4
    shown = ClipReport("raised", clip.scores, motion, forces, surface=raised)
    assert [names[k] for k in motion_payload(shown, 100)["dynamics"]["carrier"]] == ["unexplained"] * 4
