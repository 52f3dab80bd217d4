import numpy as np
import pytest

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source, up_rotation
from mjxhuman.options import UNITS
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.reading.upright import orient, standing
from mjxhuman.scenes.types import Mesh


def readings(kind: str, seed: int, said: str):
    """What is read of a built-in object for each axis and unit it may be written in: right, wrong or asked."""
    mesh = make_furniture(kind, seed).objects[0].mesh
    for up in ("z", "y"):
        for unit in ("m", "cm", "mm", "inch"):
            written = Mesh(np.asarray(mesh.vertices) @ up_rotation(up) / UNITS[unit], mesh.faces)
            try:
                rotation, metres = orient(Source("thing.obj"), written, said, None, None)
            except MotionFileError as error:
                yield "asked" if "or the argument " in str(error) else str(error)
            else:
                right = np.array_equal(rotation, up_rotation(up)) and metres == UNITS[unit]
                yield "right" if right else "wrong"


def test_a_chair_is_read_from_every_axis_and_unit():
    assert list(readings("chair", 1, "chair")) == ["right"] * 8


def test_steps_lie_as_well_as_they_stand_and_are_asked_about():
    assert set(readings("steps", 0, "steps")) <= {"right", "asked"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chair", "stool", "bench", "table", "sofa", "steps"])
def test_no_built_in_furniture_is_misread(kind):
    named = [reading for seed in range(6) for reading in readings(kind, seed, kind)]
    unnamed = [reading for seed in range(6) for reading in readings(kind, seed, "")]
    assert set(named + unnamed) <= {"right", "asked"}
    assert named.count("right") >= 0.8 * len(named) or kind == "steps"


def test_what_lies_on_its_side_offers_nothing_to_sit_on():
    mesh = make_furniture("table", 2).objects[0].mesh
    upright = standing(mesh)
    lying = standing(Mesh(np.asarray(mesh.vertices) @ up_rotation("y").T, mesh.faces))
    assert upright.offered > 0.9 and upright.feet > 0.9
    assert lying.offered < 0.4 and lying.level < 0.4
    assert upright.height == pytest.approx(np.asarray(mesh.vertices)[:, 2].max(), abs=0.01)
