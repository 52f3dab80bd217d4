"""The published PhyMotion reward: scores and arrays of the original code on 20 trajectories."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from mjxhuman.humanoids import Humanoid, hinge_to_ball_qpos, load_humanoid, to_ball
from mjxhuman.rewards.phymotion import joints as phymotion_joints
from mjxhuman.rewards.phymotion import score as phymotion
from mjxhuman.rewards.phymotion.time import make_clip
from mjxhuman.types import Scores

#: Our name -> section and name in scores.json.
CLIP_SCORES = {
    "total": ("scores", "phymotion_combined"),
    "kinematic": ("scores", "kinematic"),
    "contact": ("scores", "contact_mujoco"),
    "dynamic": ("scores", "dynamic_mujoco"),
    "overall": ("scores", "overall"),
    "v1_contact": ("scores", "contact"),
    "v1_dynamic": ("scores", "dynamic"),
    "v_slip": ("v3_contact", "v_slip"),
    "v_pen": ("v3_contact", "v_pen"),
    "v_float": ("v3_contact", "v_float"),
    "v_bal": ("v3_contact", "v_bal"),
    "s_tau": ("v3_dynamic", "s_tau"),
    "s_grf": ("v3_dynamic", "s_grf"),
    "s_met": ("v3_dynamic", "s_met"),
    "s_bal": ("v3_dynamic", "s_bal"),
    "MET": ("v3_dynamic", "MET"),
    "v_grf_vert": ("v3_dynamic", "v_grf_vert"),
    "v_grf_horiz": ("v3_dynamic", "v_grf_horiz"),
    "v1_velocity": ("v1_kinematic", "velocity_max_joint"),
    "v1_slip": ("v1_contact", "mean_slip"),
    "v1_penetration": ("v1_contact", "mean_penetration"),
    "v1_friction": ("v1_contact", "friction_frac"),
    "v1_floating": ("v1_contact", "foot_floating_score"),
    "v1_torque": ("v1_dynamic", "torque_violation_mean"),
    "v1_grf_vert": ("v1_dynamic", "vertical_grf"),
    "v1_grf_horiz": ("v1_dynamic", "horizontal_grf"),
    "v1_balance": ("v1_dynamic", "balance_violations"),
    "v1_metabolic": ("v1_dynamic", "metabolic_cost"),
}


class Golden:
    """The 20 trajectories, padded to one length."""

    def __init__(self, folder: Path) -> None:
        self.table = json.loads((folder / "scores.json").read_text())
        self.records: list[dict[str, Any]] = self.table["trajectories"]
        files = sorted(folder.glob("*.npz"))
        assert len(files) == len(self.records) == 20
        self.arrays = [dict(np.load(file)) for file in files]
        self.lengths = [len(a["qpos"]) for a in self.arrays]
        self.valid = np.arange(max(self.lengths)) < np.array(self.lengths)[:, None]
        self.qpos = self.padded("qpos")

    def padded(self, name: str) -> np.ndarray:
        size = max(self.lengths)
        pads = [((0, size - len(a[name])), *((0, 0),) * (a[name].ndim - 1)) for a in self.arrays]
        return np.stack([np.pad(a[name], pad, mode="edge") for a, pad in zip(self.arrays, pads, strict=True)])

    def score(self, name: str) -> np.ndarray:
        section, key = CLIP_SCORES[name]
        return np.array([record[section][key] for record in self.records])


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "data/golden/phymotion_reward")


@pytest.fixture(scope="module")
def body(shared: Path) -> Humanoid:
    return load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml")


@pytest.fixture(scope="module")
def double(golden: Golden, body: Humanoid, float64: Callable[[], AbstractContextManager[None]]) -> Scores:
    with float64():
        return phymotion.phymotion_scores(body, golden.qpos, 30.0, valid=golden.valid)


@pytest.fixture(scope="module")
def parts(golden: Golden, body: Humanoid, float64: Callable[[], AbstractContextManager[None]]) -> Any:
    with float64():
        parts = phymotion.phymotion_parts(body, golden.qpos, 30.0, valid=golden.valid)
        return jax.tree.map(np.asarray, parts)  # a JAX array loses its precision when it is indexed outside


@pytest.fixture(scope="module")
def single(golden: Golden, body: Humanoid) -> Any:
    parts = phymotion.phymotion_parts(body, golden.qpos.astype(np.float32), 30.0, valid=golden.valid)
    return jax.tree.map(np.asarray, parts)


def value(scores: Scores, name: str) -> np.ndarray:
    return np.asarray(scores.total if name == "total" else {**scores.axes, **scores.terms}[name])


def test_the_model_is_the_one_that_was_scored(golden: Golden, body: Humanoid) -> None:
    table = golden.table
    assert (body.nq, body.nv) == (table["model"]["nq"], table["model"]["nv"])
    assert body.mass == pytest.approx(table["model"]["total_mass"], rel=1e-12)
    hinges = [body.model.joint(j).name for j in range(1, body.model.njnt)]
    assert hinges == table["hinge_joint_names"]
    from mjxhuman.rewards.phymotion.body import torque_limit

    assert [torque_limit(name) for name in hinges] == table["dof_torque_limit"][6:]


@pytest.mark.parametrize("name", CLIP_SCORES)
def test_scores_in_float64(golden: Golden, double: Scores, name: str) -> None:
    assert np.all(double.valid) and not any(double.reason)
    np.testing.assert_allclose(value(double, name), golden.score(name), rtol=1e-9, atol=1e-15)


def test_limb_lengths_in_float64(golden: Golden, double: Scores) -> None:
    """The lengths of a rigid skeleton vary by rounding, so there is nothing to compare but that."""
    limbs = ("limb_upper_arm", "limb_forearm", "limb_thigh", "limb_shank")
    expected = [np.mean([r["v1_kinematic"][limb] for limb in limbs]) for r in golden.records]
    np.testing.assert_allclose(value(double, "v1_limb_length"), expected, atol=1e-13)


def check(golden: Golden, name: str, found: np.ndarray, rtol: float = 1e-9) -> None:
    """Compare an array (..., 20, T) with the golden array of each trajectory (T, ...), relative to its largest value.

    Arrays that are stored in float32 are compared to 1e-6.
    """
    found = np.moveaxis(np.asarray(found), (-2, -1), (0, 1))
    for k, (arrays, length) in enumerate(zip(golden.arrays, golden.lengths, strict=True)):
        expected = arrays[name]
        got = found[k, :length].reshape(expected.shape)
        if expected.dtype == bool:
            np.testing.assert_array_equal(got, expected, err_msg=f"{name} of {golden.records[k]['name']}")
            continue
        tolerance = max(rtol, 1e-6 if expected.dtype == np.float32 else 0.0) * np.abs(expected).max(initial=1e-3)
        np.testing.assert_allclose(
            got, expected, rtol=0, atol=tolerance, err_msg=f"{name} of {golden.records[k]['name']}"
        )


def test_arrays_of_the_mujoco_part(golden: Golden, parts: Any) -> None:
    measured, axes = parts
    check(golden, "v3_qvel", measured.qvel)
    check(golden, "v3_qacc", measured.qacc)
    check(golden, "v3_qfrc_inv", measured.qfrc)
    check(golden, "v3_F_pelvis", measured.qfrc[:3])
    check(golden, "v3_com_world", measured.com)
    check(golden, "v3_foot_pos", measured.feet)
    check(golden, "v3_foot_vel", axes.contact.foot_speed)
    check(golden, "v3_in_contact", axes.contact.touching)
    check(golden, "v3_d_to_support", axes.contact.support_distance)
    check(golden, "v3_slip_per_foot", axes.contact.slip)
    root_speed = np.linalg.norm(measured.qvel[:3], axis=0) + 1e-6
    check(golden, "v3_root_speed", root_speed)
    check(golden, "v3_rho", axes.contact.ratio)
    expected = np.stack([arrays["v3_v_tau_per_j"] for arrays in golden.arrays], -1)
    np.testing.assert_allclose(axes.dynamic.v_tau, expected, atol=1e-12)
    offset = [arrays["v3_z_offset"] for arrays in golden.arrays]
    np.testing.assert_allclose(golden.qpos[:, 0, 2] - measured.root[2, :, 0], offset, rtol=1e-9)


def test_arrays_of_the_joint_part(golden: Golden, parts: Any) -> None:
    measured, axes = parts
    check(golden, "joints", measured.joints)
    check(golden, "v1_joint_speed_max", axes.kinematic.max_speed)
    check(golden, "v1_joint_acc_max", axes.kinematic.max_acceleration)
    check(golden, "v1_foot_contact", axes.old_contact.contact)
    check(golden, "v1_foot_slip", axes.old_contact.foot_slip)
    check(golden, "v1_ground_penetration", axes.old_contact.foot_penetration)
    check(golden, "v1_friction", axes.old_contact.friction_proxy)
    check(golden, "v1_com", axes.old_dynamic.com)
    check(golden, "v1_grf", axes.old_dynamic.grf)
    check(golden, "v1_support_distance", axes.old_dynamic.support_distance)
    jitter = [r["v1_kinematic"]["jitter_combined"] for r in golden.records]
    np.testing.assert_allclose(axes.kinematic.jitter_acceleration, jitter, rtol=1e-9)


def test_joint_part_on_given_joints_and_soles(golden: Golden, x64: None) -> None:
    """The axes as functions of any joint positions and sole points, here the stored ones."""
    joints = np.moveaxis(golden.padded("joints"), (2, 3), (0, 1))
    points = np.moveaxis(golden.padded("sole_points").astype(np.float64), (2, 3), (0, 1))
    soles = np.stack([points[golden.table[f"{side}_sole_indices"]] for side in ("left", "right")])

    @jax.jit
    def axes(joints, soles, valid):
        clip = make_clip(valid, jax.numpy.asarray(30.0), joints.dtype)
        contact = phymotion_joints.contact(joints, soles, clip)
        return (
            phymotion_joints.kinematic(joints, clip),
            contact,
            phymotion_joints.dynamic(joints, contact.contact, clip),
        )

    kinematic, contact, dynamic = axes(joints, soles, golden.valid)
    np.testing.assert_allclose(kinematic.score, golden.score("kinematic"), rtol=1e-9)
    np.testing.assert_allclose(contact.score, golden.score("v1_contact"), rtol=1e-6)  # soles are stored in float32
    np.testing.assert_allclose(dynamic.score, golden.score("v1_dynamic"), rtol=1e-9)


@pytest.mark.parametrize("name", CLIP_SCORES)
def test_scores_in_float32(golden: Golden, single: Any, name: str) -> None:
    """No frame of these trajectories is so close to a threshold that float32 flips it."""
    found = phymotion.CLIP_TERMS["phymotion_combined" if name == "total" else name](single[1])
    assert found.dtype == np.float32
    if golden.score(name).max() <= 1.0:
        np.testing.assert_allclose(found, golden.score(name), atol=2e-6)
    else:
        np.testing.assert_allclose(found, golden.score(name), rtol=2e-6)


def test_arrays_in_float32(golden: Golden, single: Any) -> None:
    measured, axes = single
    for name, found in (
        ("v3_qacc", measured.qacc), ("v3_qfrc_inv", measured.qfrc), ("v3_com_world", measured.com),
        ("v3_foot_pos", measured.feet), ("v1_grf", axes.old_dynamic.grf),
    ):  # fmt: skip
        check(golden, name, found, rtol=1e-3)


def test_padding_changes_no_score(golden: Golden, double: Scores, body: Humanoid, x64: None) -> None:
    """Clips alone, in buckets of 64 and 128 frames, against the padded batch; the padding may hold anything."""
    for k in (0, 2, 7, 16, 4):
        alone = phymotion.phymotion_scores(body, golden.arrays[k]["qpos"], 30.0)
        assert alone.total.shape == () and alone.frames["v_bal"].shape == (golden.lengths[k],)
        for name in CLIP_SCORES:
            np.testing.assert_allclose(value(alone, name), value(double, name)[k], rtol=1e-12, atol=1e-15, err_msg=name)
    rubbish = np.where(golden.valid[..., None], golden.qpos, np.nan)
    again = phymotion.phymotion_scores(body, rubbish, 30.0, valid=golden.valid)
    for name in CLIP_SCORES:
        np.testing.assert_array_equal(value(again, name), value(double, name), err_msg=name)


def test_ball_joints_give_the_same_scores(golden: Golden, double: Scores, body: Humanoid, x64: None) -> None:
    ball = to_ball(body)
    scores = phymotion.phymotion_scores(
        ball, np.asarray(hinge_to_ball_qpos(body, golden.qpos)), 30.0, valid=golden.valid
    )
    for name in CLIP_SCORES:
        np.testing.assert_allclose(value(scores, name), value(double, name), rtol=1e-9, atol=1e-12, err_msg=name)
