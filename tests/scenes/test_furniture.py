import numpy as np
import pytest

import mjxhuman
from mjxhuman.scenes.furniture.damage import DAMAGES
from mjxhuman.scenes.furniture.kinds import KINDS
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.furniture.pieces import box

SEATS = {
    "chair": (0.40, 0.50),
    "stool": (0.40, 0.50),
    "bench": (0.40, 0.48),
    "table": (0.68, 0.82),
    "sofa": (0.36, 0.44),
}


def depth(thing, points):
    """Signed distance of points (N, 3) to the pieces of an object, faces only."""
    planes = thing.parts.planes[thing.parts.mask]
    return (np.einsum("kfx,nx->nkf", planes[..., :3], points) - planes[..., 3]).max(-1).min(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_on_the_floor_and_is_what_its_pieces_are(kind):
    thing = make_furniture(kind, 1).objects[0]
    low, high = thing.mesh.vertices.min(0), thing.mesh.vertices.max(0)
    np.testing.assert_allclose([*(low + high)[:2], low[2]], 0.0, atol=1e-9)
    assert kind.startswith(thing.kind) and thing.kind
    assert KINDS[kind].mass[0] <= thing.mass <= KINDS[kind].mass[1]
    assert thing.parts.vertices.shape[1:] == (32, 3)
    assert np.abs(depth(thing, thing.points)).max() < 1e-4  # hulls of 32 corners are raised by 0.05 mm
    assert (low < thing.com).all() and (thing.com < high).all()
    if kind in SEATS:  # what is sat on, or eaten from, is the largest level face
        up = thing.points[thing.normals[:, 2] > 0.99, 2]
        top = np.median(up)
        assert SEATS[kind][0] - 1e-6 <= top <= SEATS[kind][1] + 1e-6


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_changes_the_object_of_the_same_seed_and_nothing_else(name):
    intact, again = make_furniture("chair", 5).objects[0], make_furniture("chair", 5).objects[0]
    np.testing.assert_array_equal(intact.parts.vertices, again.parts.vertices)
    np.testing.assert_array_equal(intact.points, again.points)
    harmed = make_furniture("chair", 5, name).objects[0]
    hollow = make_furniture("chair", 5, f"{name}:0").objects[0]
    assert max(np.abs(depth(intact, harmed.points)).max(), np.abs(depth(harmed, intact.points)).max()) > 0.004
    if name == "missing_leg":
        assert harmed.parts.mask.sum() == intact.parts.mask.sum() - 1
    else:
        assert np.abs(depth(intact, hollow.points)).max() < 1e-4
    assert harmed.name == f"chair:5:{name}"


STOOL = [
    box("seat", (-0.2, -0.2, 0.4), (0.2, 0.2, 0.44)),
    *(box("leg", (x - 0.02, y - 0.02, 0.0), (x + 0.02, y + 0.02, 0.4)) for x in (-0.18, 0.18) for y in (-0.18, 0.18)),
]


@pytest.mark.parametrize("severity", [0.25, 1.0])
def test_damage_is_as_severe_as_it_says(severity):
    def done(name, pieces=STOOL, seed=3):
        return DAMAGES[name](pieces, np.random.default_rng(seed), severity)

    ends = sorted(p.corners[:, 2].min() for p in done("short_leg") if p.role == "leg")
    assert ends == pytest.approx([0, 0, 0, 0.1 * severity])
    assert sum(p.role == "leg" for p in done("missing_leg")) == (3 if severity < 2 / 3 else 2)
    a, b, c = done("tilt")[0].corners[[0, 2, 4]]
    up = np.cross(b - a, c - a)
    assert np.degrees(np.arccos(abs(up[2]) / np.linalg.norm(up))) == pytest.approx(20 * severity)
    bumps = done("bumps")[len(STOOL) :]
    assert len(bumps) == 8 and min(p.corners[:, 2].min() for p in bumps) == pytest.approx(-0.03 * severity)
    shifts = [
        np.linalg.norm(new.corners - old.corners, axis=1).max() for old, new in zip(STOOL, done("gap"), strict=True)
    ]
    assert sorted(shifts) == pytest.approx([0, 0, 0, 0, 0.1 * severity])
    blocks = 60 * [box("seat", (0, 0, 0), (0.3, 0.3, 0.3))]
    off = np.stack([p.corners - blocks[0].corners for p in done("noise", blocks)]) / (0.01 * severity)
    assert off.std() == pytest.approx(0.96, abs=0.05) and np.abs(off).max() == pytest.approx(2)  # cut at two
    thin = [p.corners - STOOL[0].corners for p in done("noise", 9 * STOOL[:1])]
    assert np.abs(thin).max() <= 2 * min(0.01 * severity, 0.04 / 6) + 1e-9


def test_the_seed_decides_what_is_damaged_and_how_heavy_it_is(monkeypatch):
    drawn = []
    monkeypatch.setitem(DAMAGES, "lost", lambda pieces, rng, severity: drawn.append(rng.random()) or pieces[:-1])
    whole, harmed = (make_furniture("steps", 4, harm).objects[0] for harm in (None, "lost"))
    assert harmed.mass < whole.mass  # of the same wood
    make_furniture("steps", 4, "lost")
    make_furniture("steps", 5, "lost")
    assert drawn[0] == drawn[1] != drawn[2]


def test_other_seeds_are_other_objects():
    heights = {
        round(float(np.ptp(make_furniture("stool", seed).objects[0].mesh.vertices[:, 2])), 6) for seed in range(5)
    }
    assert len(heights) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("throne",), "kind: expected one of chair, stool, .* found 'throne'"),
        (("chair", -1), "seed: expected a whole number of 0 or more, found -1"),
        (("chair", 0, "rust"), "damage: expected one of short_leg, .* found 'rust'"),
        (("chair", 0, "tilt:2"), "severity between 0 and 1 after 'tilt', found '2'"),
    ],
)
def test_what_there_is_none_of_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        mjxhuman.make_furniture(*arguments)
