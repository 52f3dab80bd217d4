"""The losses of HSImul3R: their values against loops in NumPy, their gradients against finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.alignment.first_order import _paper
from mjxhuman.alignment.legs import Legs
from mjxhuman.alignment.problem import AlignmentProblem
from mjxhuman.alignment.views import Views
from mjxhuman.scenes.convex import box_corners, faces_of

HALF = np.array([0.2, 0.3, 0.05])
PLACE = np.array([0.1, -0.2, 0.4])


def problem(patch: np.ndarray) -> AlignmentProblem:
    """A part over or in a box, one frame."""
    samples = box_corners(HALF) * np.array([[0.9], [0.5], [1.0], [0.2], [0.7], [1.0], [0.4], [0.8]])
    planes = faces_of(box_corners(HALF))
    near = np.zeros((1, 1, 3))
    return AlignmentProblem(
        points=patch.T[None, None], balls=np.zeros((1, 1, 4)), limb=np.zeros(1, int), stands=np.ones((1, 2), bool),
        legs=Legs(np.zeros((1, 2, 3, 3)), np.zeros((1, 2, 4, 4))), patch_limb=np.zeros((1, len(patch)), int),
        views=Views(*(np.zeros((1, 0, *n)) for n in ((3, 4), (1, 2), ())), np.zeros((1, 1, 3)), np.zeros(1, int)),
        frame=np.ones(1, bool), side=near, planes=planes[None],
        piece_object=np.zeros(1, int), poses=np.array([[*PLACE, 1.0, 0, 0, 0]]), free=np.ones(1, bool),
        held=np.ones((1, 1), bool), sat=near, samples=samples[None], active=np.ones((1, 1), bool),
        contact_object=np.zeros(1, int), patch=patch[None, None], partner_points=near, partner_normals=near,
        interval=np.ones(1),
    )  # fmt: skip


def loops(p: AlignmentProblem, person: np.ndarray, thing: np.ndarray) -> float:
    """Eq. 3 where no point of the part is inside, else Eq. 4."""
    body = [x + person for x in p.patch[0, 0]]
    place = PLACE + [*thing, 0.0]
    world = [s + place for s in p.samples[0]]
    height = [max(plane[:3] @ (x - place) - plane[3] for plane in p.planes[0]) for x in body]
    if min(height) <= 0:
        return float(np.mean([max(0.0, -h) for h in height]))
    to_part = np.mean([min(np.linalg.norm(s - x) for x in body) for s in world])
    return float(to_part + np.mean([min(np.linalg.norm(s - x) for s in world) for x in body]))


@pytest.mark.parametrize("height", [0.55, 0.43], ids=["apart", "inside"])
def test_the_printed_loss_and_its_gradient(height):
    patch = PLACE + np.random.default_rng(0).normal(0, 0.03, (12, 3)) + [0, 0, height - PLACE[2]]
    with jax.enable_x64(True):
        p = problem(patch)

        def loss(x: jax.Array) -> jax.Array:
            return _paper(p, {"person": x[None, :3], "object": x[None, 3:]})

        at = np.array([0.01, -0.02, 0.005, 0.02, 0.01])
        value, slope = jax.value_and_grad(loss)(jnp.asarray(at))
        assert float(value) == pytest.approx(loops(p, at[:3], at[3:]), rel=1e-9)
        step = 1e-6 * np.eye(5)
        expected = [(loops(p, *np.split(at + s, [3])) - loops(p, *np.split(at - s, [3]))) / 2e-6 for s in step]
        np.testing.assert_allclose(slope, expected, atol=1e-6)
