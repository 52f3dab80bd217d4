"""Skinned bodies against the package smplx, on model files made for the test: every array of them matters."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.bodies.skinning import SkinnedBody, SkinnedModel, load_skinned_model
from mjxhuman.bodies.smpl import body_shape, load_smpl_model

sys.path.insert(0, str(Path(__file__).parent))
import smplx_cases as cases

pytestmark = pytest.mark.compiled


@pytest.fixture
def load(tmp_path: Path):
    """``load(case, **changes)``: the case's file with some arrays changed (None: left out), and its options."""

    def make(case: str, dtype=jnp.float32, **changes) -> SkinnedModel:
        arrays = {k: v for k, v in (cases.model_arrays(case) | changes).items() if v is not None}
        np.savez(tmp_path / "model.npz", **arrays)
        return load_skinned_model(tmp_path / "model.npz", dtype=dtype, **cases.CASES[case][1])

    return make


def posed(model: SkinnedModel, **given: np.ndarray) -> SkinnedBody:
    """The model's call, compiled."""
    return jax.jit(lambda model, given: model(**given))(model, given)


@pytest.mark.parametrize("case", cases.CASES)
def test_equals_the_stored_results_of_smplx(load, case: str) -> None:
    with np.load(cases.GOLDEN) as golden:
        vertices, joints = golden[f"{case}_v"], golden[f"{case}_j"]
    body = posed(load(case), **cases.parameters(case))
    assert body.vertices.dtype == jnp.float32
    assert np.ptp(vertices, axis=1).mean() > 0.5 and np.ptp(joints, axis=1).mean() > 0.9, "of the size of people"
    np.testing.assert_allclose(body.vertices, vertices, atol=1e-5)
    np.testing.assert_allclose(body.joints, joints, atol=1e-5)


@pytest.mark.parametrize("case", cases.CASES)
def test_stored_results_are_those_of_the_installed_smplx(tmp_path: Path, case: str) -> None:
    missing = [name for name in ("torch", "smplx") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (extra 'smplx')")
    with np.load(cases.GOLDEN) as golden:
        for found, key in zip(cases.by_smplx(case, tmp_path / case), "vj", strict=True):
            np.testing.assert_allclose(found, golden[f"{case}_{key}"], atol=1e-9)


def test_float64(load, x64: None) -> None:
    with np.load(cases.GOLDEN) as golden:
        vertices = golden["smplx_default_v"]
    body = posed(load("smplx_default", dtype=jnp.float64), **cases.parameters("smplx_default"))
    np.testing.assert_allclose(body.vertices, vertices, atol=1e-7)


def test_rest_joints_are_those_of_the_body_shape(load, tmp_path: Path) -> None:
    """A flat hand at rest: the joints that shape the humanoid."""
    betas = np.array([1.5, -2.0, 0.5])
    body = load("smplh_flat")(betas=betas, return_verts=False)
    assert body.vertices is None
    shape = body_shape(load_smpl_model(tmp_path / "model.npz"), betas)
    np.testing.assert_allclose(np.asarray(body.joints)[[*range(22), 25, 40]], shape.joints, atol=1e-6)


@pytest.mark.slow
def test_broadcasts_jits_and_takes_matrices(load) -> None:
    """One shape for many poses; rotation matrices in place of vectors; the same compiled."""
    model = load("smpl")
    given = cases.parameters("smpl", batch=3)
    whole = model(**given | {"betas": given["betas"][:1]})
    alone = posed(model, **{k: v[2] for k, v in given.items() if k != "betas"}, betas=given["betas"][0])
    np.testing.assert_allclose(whole.vertices[2], alone.vertices, atol=2e-6)
    from scipy.spatial.transform import Rotation

    turns = {k: Rotation.from_rotvec(given[k][2].reshape(-1, 3)).as_matrix() for k in ("global_orient", "body_pose")}
    again = model(**turns, betas=given["betas"][0], transl=given["transl"][2], pose2rot=False)
    np.testing.assert_allclose(again.vertices, alone.vertices, atol=2e-6)


def test_gradients_are_finite_at_rest_and_agree_with_differences(load, x64: None) -> None:
    model = load("smpl", dtype=jnp.float64)

    def height(pose):
        return jnp.sum(model(body_pose=pose).vertices[:, 1] ** 2)

    rest = jnp.zeros(69)
    height = jax.jit(height)
    gradient = jax.grad(height)(rest)
    step = 1e-6 * np.eye(69)[[0, 10, 50]]
    difference = [(height(rest + s) - height(rest - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(gradient[jnp.array([0, 10, 50])], difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("case", "given", "words"),
    [
        ("smpl", {"body_pose": np.zeros((2, 63))}, r"body_pose: expected shape \(\*b, 69\), found \(2, 63\)"),
        ("smplh_pca", {"body_pose": np.zeros((2, 69))}, r"body_pose: expected shape \(\*b, 63\)"),
        ("smplh_pca", {"left_hand_pose": np.zeros(45)}, r"left_hand_pose: expected shape \(\*b, 8\), found \(45,\)"),
        ("smpl", {"jaw_pose": np.zeros(3)}, "jaw_pose: SMPL has no such joints"),
        ("smpl", {"betas": np.zeros(11)}, "betas: .*at most 10 coefficients"),
        ("smpl", {"expression": np.zeros(1)}, "expression: .*at most 0"),
        ("smpl", {"transl": np.zeros(2)}, "transl: expected"),
    ],
)
def test_wrong_parameters_are_named(load, case: str, given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(case)(**given)


def test_files_without_what_skinning_needs_are_named(load) -> None:
    with pytest.raises(ValueError, match=r"model\.npz: .*missing posedirs"):
        load("smpl", posedirs=None)
    with pytest.raises(ValueError, match="missing hands_meanr"):
        load("smplh_pca", hands_meanr=None)
    with pytest.raises(ValueError, match=r"posedirs: expected shape \(12, 3, 207\), found \(12, 207\)"):
        load("smpl", posedirs=np.zeros((12, 207)))
