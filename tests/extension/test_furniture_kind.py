"""Built-in furniture of your own: a crate, and what may be wrong with it.

A kind is a function from a random generator to labelled convex pieces; a damage changes the pieces. Both are then known
by name to ``make_furniture``, ``stability`` and the command line (``mjxhuman stability crate:1:squash:0.5``).
"""

import numpy as np
import pytest

import mjxhuman
from mjxhuman.scenes.furniture.damage import DAMAGES, damage
from mjxhuman.scenes.furniture.kinds import KINDS, kind
from mjxhuman.scenes.furniture.pieces import Piece, box


@pytest.fixture
def crates():
    @kind("crate", mass=(2.0, 3.0))  # kg
    def crate(rng: np.random.Generator) -> list[Piece]:
        return [box("leg", (0, 0, 0), (0.4, 0.4, rng.uniform(0.3, 0.4)))]  # "leg": stands on the floor

    @damage
    def squash(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
        return [Piece(p.role, p.corners * [1.0, 1.0, 1 - severity]) for p in pieces]

    yield
    del KINDS["crate"], DAMAGES["squash"]


def test_a_kind_and_a_damage_are_one_function_each(crates):
    whole, flat = (mjxhuman.make_furniture("crate", 1, harm) for harm in (None, "squash:0.5"))
    sizes = [np.ptp(scene.objects[0].mesh.vertices, axis=0) for scene in (whole, flat)]
    np.testing.assert_allclose(sizes[1], sizes[0] * [1, 1, 0.5])
    assert flat.objects[0].mass == pytest.approx(0.5 * float(whole.objects[0].mass))  # of the same wood
    assert mjxhuman.stability(flat, drops=2).stable
