"""A short synthetic walk-like motion with made-up scores and forces: the report must show whatever it is given."""

from __future__ import annotations

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from mjxhuman.report.pack import ClipReport
from mjxhuman.types import Dynamics, Motion, Provenance, Scores

sys.path.insert(0, str(Path(__file__).parent))  # for chrome.py beside this file

AXES = {
    "kinematic": ("joint_speed", "joint_limit", "self_penetration"),
    "contact": ("foot_slip", "ground_penetration", "floating", "balance"),
    "dynamic": ("torque", "ground_reaction", "power"),
}


def make_motion(humanoid, frames=40, fps=30.0, seed=0):
    """The rest pose moving along +x at 1 m/s with swinging arms."""
    rng = np.random.default_rng(seed)
    model, t = humanoid.model, np.arange(frames) / fps
    qpos = np.repeat(model.qpos0[None], frames, 0)
    qpos[:, 0] += t
    for name in ("L_Shoulder", "R_Shoulder"):
        address = model.jnt_qposadr[model.body_jntadr[humanoid.body_names.index(name)]]
        angle = 0.4 * np.sin(2 * np.pi * t) + 0.05 * rng.normal()
        qpos[:, address : address + 4] = np.stack([np.cos(angle), np.sin(angle), 0 * t, 0 * t], axis=1)
    data = mujoco.MjData(model)
    pos, quat = np.zeros((frames, model.nbody, 3)), np.zeros((frames, model.nbody, 4))
    for i in range(frames):
        data.qpos[:] = qpos[i]
        mujoco.mj_kinematics(model, data)
        pos[i], quat[i] = data.xpos, data.xquat
    still, bodies = np.zeros((frames, model.nv)), np.zeros((frames, model.nbody, 3))
    provenance = Provenance("walk <1>.bvh", "BVH", "CC0", ("fps 30: the file's",), "stance", -0.012, ("median 9 mm",))
    valid = np.ones(frames, bool)
    return Motion(qpos, still, still, pos, quat, bodies, bodies, valid, 1 / fps, humanoid, provenance)


def make_scores(frames, seed=0, valid=True):
    """Smooth random sub-scores; one diagnostic that no glossary knows."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 6, frames)
    names = [n for group in AXES.values() for n in group]
    series = {n: np.clip(0.9 + 0.3 * np.sin(t * rng.uniform(0.5, 2) + rng.uniform(0, 6)), 0, 1) for n in names}
    for axis, group in AXES.items():
        series[axis] = np.mean([series[n] for n in group], axis=0)
    series["total"] = np.mean([series[a] for a in AXES], axis=0)
    for values in series.values():
        values[: min(1, frames - 1)] = np.nan  # the first frame of a clip has no whole window
    series["mystery_number"] = rng.uniform(0, 3, frames)
    clip = {n: np.float32(np.nanmean(v)) for n, v in series.items()}
    if not valid:
        clip = dict.fromkeys(clip, np.float32(np.nan))
        series = {}
    axes = {a: clip.pop(a) for a in AXES}
    total = clip.pop("total")
    reason = "" if valid else "not scored: 3 frames, at least 4 are needed"
    return Scores(total, axes, clip, series, np.bool_(valid), reason, "feasibility", "smpl")


def make_dynamics(motion):
    """Half the weight on each foot; one joint beyond its limit for a while."""
    humanoid, frames = motion.humanoid, motion.num_frames
    names = humanoid.contacts.group_names
    weight = humanoid.weight
    grf, cop = np.zeros((frames, len(names), 3)), np.zeros((frames, len(names), 3))
    for k, toe in enumerate(("L_Toe", "R_Toe")):
        grf[:, k, 2] = 0.5 * weight
        cop[:, k, :2] = motion.body_pos[:, humanoid.body_names.index(toe), :2]
    torque = np.zeros((frames, humanoid.nbody, 3))
    knee = humanoid.body_names.index("L_Knee")
    torque[10:20, knee, 0] = 1.5 * humanoid.torque_limit[knee, 0, 1]
    zero = np.zeros((frames, 3))
    com = motion.body_pos[:, 1] + [0, 0, 0.05]
    return Dynamics(
        zero, zero, torque, grf, cop, np.zeros((frames, 6)), np.zeros(frames), com, zero, zero, np.ones(frames), names
    )  # fmt: skip


@pytest.fixture(scope="session")
def chrome():
    """A headless browser; the tests are skipped where there is none."""
    from chrome import CHROMIUM, Chrome

    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with Chrome() as browser:
        yield browser


@pytest.fixture(scope="session")
def make_clip(humanoid):
    """``make_clip(name, frames=40, seed=0, valid=True, ...) -> ClipReport``."""

    def make(name="walk", frames=40, seed=0, valid=True, dynamics=True, fps=30.0, notes=()):
        motion = make_motion(humanoid, frames, fps, seed)
        forces = make_dynamics(motion) if dynamics else None
        return ClipReport(name, make_scores(frames, seed, valid), motion, forces, notes)

    return make
