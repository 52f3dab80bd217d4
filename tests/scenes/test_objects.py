import numpy as np
import pytest

from mjxhuman.scenes.convex import box_corners, hull_mesh, join, pack
from mjxhuman.scenes.furniture import kinds as built_in
from mjxhuman.scenes.objects import DENSITY, KINDS, kind_of, make_object, mass_of, solid_of

SEAT = box_corners([0.2, 0.2, 0.02], [0, 0, 0.4])
LEG = box_corners([0.02, 0.03, 0.19], [0.1, 0.05, 0.19])


def box_inertia(half, mass=1.0):
    x, y, z = (2 * np.asarray(half)) ** 2
    return mass / 12 * np.diag([y + z, x + z, x + y])


def test_pieces_that_do_not_overlap_have_exact_moments():
    solid = solid_of(pack([SEAT, LEG]))
    volumes = np.array([0.4 * 0.4 * 0.04, 0.04 * 0.06 * 0.38])
    assert solid.volume == pytest.approx(volumes.sum(), rel=1e-12)
    centres = np.array([[0, 0, 0.4], [0.1, 0.05, 0.19]])
    com = volumes @ centres / volumes.sum()
    np.testing.assert_allclose(solid.com, com, atol=1e-12)
    expected = sum(
        box_inertia(half, v) + v * ((c - com) @ (c - com) * np.eye(3) - np.outer(c - com, c - com))
        for half, v, c in zip([[0.2, 0.2, 0.02], [0.02, 0.03, 0.19]], volumes, centres, strict=True)
    )
    np.testing.assert_allclose(solid.inertia, expected, atol=1e-12)


def test_what_pieces_share_counts_once():
    overlapping = solid_of(pack([box_corners([0.2, 0.2, 0.2]), box_corners([0.2, 0.2, 0.2], [0.2, 0, 0])]))
    union = solid_of(pack([box_corners([0.3, 0.2, 0.2], [0.1, 0, 0])]))
    assert overlapping.volume == pytest.approx(union.volume, rel=0.005)
    np.testing.assert_allclose(overlapping.com, union.com, atol=1e-3)
    np.testing.assert_allclose(overlapping.inertia, union.inertia, atol=0.005 * union.inertia.max())
    # a piece given twice adds nothing
    assert solid_of(pack([SEAT, SEAT])).volume == pytest.approx(solid_of(pack([SEAT])).volume, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("simpleWoodTable_body", "table"),
        ("chair_agne_0010", "chair"),
        ("polyhaven_stool", "stool"),
        ("CLOSD_SOFA", "sofa"),
        ("table_chair", "chair"),
        ("armchair", "chair"),
        ("desks2", "table"),
        ("stable", ""),
    ],
)
def test_names_say_what_kind_of_furniture_they_name(name, kind):
    assert kind_of(name) == kind


def test_mass_is_by_density_within_what_the_kind_weighs():
    assert mass_of("", 0.02) == pytest.approx(DENSITY * 0.02)
    assert mass_of("chair", 0.001) == 4.0
    assert mass_of("sofa", 1.0) == 60.0
    for kind, known in KINDS.items():  # built-in furniture weighs what files do
        assert known.mass in (None, built_in.KINDS[kind].mass)
    assert [kind for kind, known in KINDS.items() if known.mass is None] == ["steps"]


def test_an_object_has_mass_inertia_and_samples_of_its_own():
    mesh = join([hull_mesh(SEAT), hull_mesh(LEG)])
    chair = make_object(mesh, pack([SEAT, LEG]), "chair", mass=5.0)
    assert (chair.kind, float(chair.mass), float(chair.friction)) == ("chair", 5.0, 0.8)
    assert np.linalg.eigvalsh(chair.inertia).min() > 0
    np.testing.assert_allclose(chair.inertia, solid_of(chair.parts).inertia * 5.0 / solid_of(chair.parts).volume)
    np.testing.assert_allclose(np.linalg.norm(chair.normals, axis=1), 1.0)
    assert chair.points.shape == chair.normals.shape == (1024, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mass": 0.001}, "mass: expected 0.1 to 500 kg, found 0.001 kg"),
        ({"mass": 1000.0}, "mass: expected 0.1 to 500 kg, found 1000 kg"),
        ({"mass": float("nan")}, "found nan kg"),
        ({"friction": -1.0}, "friction: expected 0 or more"),
        ({"kind": "throne"}, "kind: expected one of chair"),
    ],
)
def test_what_no_furniture_has_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_object(hull_mesh(SEAT), pack([SEAT]), "chair", **options)
