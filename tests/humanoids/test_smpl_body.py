"""The built-in body: shape, symmetry, published masses, and how it is asked for."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids import SMPL_BODIES, Humanoid, load_humanoid, proportions, segments
from mjxhuman.humanoids.record import mirrored

MIRROR = np.diag([-1.0, 1.0, 1.0])


def rest(humanoid: Humanoid) -> mujoco.MjData:
    data = mujoco.MjData(humanoid.model)
    mujoco.mj_forward(humanoid.model, data)
    return data


def inertia(humanoid: Humanoid, body: str) -> np.ndarray:
    """(3, 3) about the body's centre of mass, body axes."""
    model, i = humanoid.model, humanoid.body_names.index(body)
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.body_iquat[i])
    r = matrix.reshape(3, 3)
    return r @ np.diag(model.body_inertia[i]) @ r.T


def test_sizes_and_names(humanoid: Humanoid) -> None:
    assert (humanoid.layout, humanoid.nq, humanoid.nv, humanoid.nbody) == ("ball", 99, 75, 25)
    hinge = load_humanoid(layout="hinge")
    assert (hinge.layout, hinge.nq, hinge.nv) == ("hinge", 76, 75)
    assert set(humanoid.body_names[1:]) == set(SMPL_BODIES)
    assert [humanoid.body_names[i] for i in humanoid.smpl_body_ids] == list(SMPL_BODIES)
    assert humanoid.body_names[1:6] == ("Pelvis", "L_Hip", "L_Knee", "L_Ankle", "L_Toe")
    assert humanoid.body_names[10:16] == ("Torso", "Spine", "Chest", "Neck", "Head", "L_Thorax")
    assert [hinge.model.joint(j).name for j in (1, 2, 3)] == ["L_Hip_x", "L_Hip_y", "L_Hip_z"]
    assert humanoid.model.nu == 0
    np.testing.assert_array_equal(humanoid.smpl_frame, [1, 0, 0, 0])


def test_t_pose_stands_on_the_floor_facing_x(humanoid: Humanoid) -> None:
    data = rest(humanoid)
    place = dict(zip(humanoid.body_names, data.xpos, strict=True))
    assert place["L_Toe"][0] > place["L_Ankle"][0] + 0.1
    assert place["L_Hand"][1] > 0.7 and place["R_Hand"][1] < -0.7
    assert place["Head"][2] > 1.4
    low = min(data.geom_xpos[g, 2] - humanoid.model.geom_size[g, 1] for g in feet(humanoid))
    assert low == pytest.approx(0.0, abs=1e-12)
    assert all(0 in (c.geom1, c.geom2) for c in data.contact), "only the floor may be touched"
    np.testing.assert_allclose(humanoid.model.qpos0[3:7], 0.5)


def feet(humanoid: Humanoid) -> list[int]:
    return [humanoid.model.geom(name).id for name in ("L_Ankle", "L_Toe", "R_Ankle", "R_Toe")]


def test_crown_is_the_stature(humanoid: Humanoid) -> None:
    model, data = humanoid.model, rest(humanoid)
    head = model.geom("Head").id
    top = data.geom_xpos[head, 2] + model.geom_size[head, 0] + model.geom_size[head, 1]
    assert top == pytest.approx(humanoid.stature, abs=1e-9)
    assert humanoid.stature == pytest.approx(1.71)


def test_left_and_right_mirror_each_other(humanoid: Humanoid) -> None:
    model, names = humanoid.model, humanoid.body_names
    for left in (n for n in names if n.startswith("L_")):
        i, j = names.index(left), names.index("R_" + left[2:])
        assert model.body_mass[i] == pytest.approx(model.body_mass[j], rel=1e-12)
        np.testing.assert_allclose(model.body_pos[i], MIRROR @ model.body_pos[j], atol=1e-12)
        np.testing.assert_allclose(model.body_ipos[i], MIRROR @ model.body_ipos[j], atol=1e-12)
        np.testing.assert_allclose(inertia(humanoid, left), MIRROR @ inertia(humanoid, names[j]) @ MIRROR, atol=1e-9)
    assert rest(humanoid).subtree_com[0, 1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("sex", [None, "female", "male"])
@pytest.mark.parametrize(("stature", "mass"), [(1.71, None), (1.5, 45.0), (2.0, 120.0)])
def test_mass_adds_up_and_inertia_is_physical(sex: str | None, stature: float, mass: float | None) -> None:
    humanoid = load_humanoid(stature=stature, mass=mass, sex=sex)
    expected = mass or segments.default_mass(stature, sex)
    assert humanoid.model.body_mass.sum() == pytest.approx(expected, rel=1e-12)
    assert humanoid.mass == pytest.approx(expected, rel=1e-12)
    assert humanoid.stature == pytest.approx(stature)
    for a, b, c in np.sort(humanoid.model.body_inertia[1:], axis=1):
        assert a > 0 and a + b >= c


def test_height_of_the_centre_of_mass_is_human(humanoid: Humanoid) -> None:
    """Standing people: 55-57 % of stature (Winter), 3-6 cm before the ankle joint; arms raised sideways add 1 %."""
    data = rest(humanoid)
    assert 0.55 < data.subtree_com[0, 2] / humanoid.stature < 0.575
    ankle = data.xpos[humanoid.body_names.index("L_Ankle"), 0]
    assert 0.03 < data.subtree_com[0, 0] - ankle < 0.06


def test_uniform_scaling(humanoid: Humanoid) -> None:
    big = load_humanoid(stature=1.71 * 1.1, mass=2 * humanoid.mass)
    np.testing.assert_allclose(big.model.body_pos, 1.1 * humanoid.model.body_pos, rtol=1e-9)
    np.testing.assert_allclose(big.model.body_ipos, 1.1 * humanoid.model.body_ipos, atol=1e-9)
    np.testing.assert_allclose(big.model.body_mass, 2 * humanoid.model.body_mass, rtol=1e-9)
    np.testing.assert_allclose(big.model.body_inertia, 2 * 1.1**2 * humanoid.model.body_inertia, rtol=1e-6)


def composite(names: list[str], sex: str, axis: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mass fraction, centre along ``axis`` and moments (about x, y, z) of several bodies in the T-pose."""
    shape = proportions.scaled()
    parts = segments.body_inertias(shape, 1.0, sex)
    mass = sum(parts[n].mass for n in names)
    points = {n: shape.position(n) + parts[n].centre for n in names}
    centre = sum(parts[n].mass * points[n] for n in names) / mass
    moment = np.zeros((3, 3))
    for n in names:
        r = points[n] - centre
        moment += parts[n].moment + parts[n].mass * (r @ r * np.eye(3) - np.outer(r, r))
    return mass, float(centre @ axis), np.diag(moment)


def test_default_mass_is_that_of_the_world_s_mean_body_mass_index() -> None:
    """24.4 and 24.2 kg/m^2 (NCD-RisC 2016)."""
    assert segments.default_mass(2.0, "female") == pytest.approx(97.6)
    assert segments.default_mass(2.0, "male") == pytest.approx(96.8)
    assert segments.default_mass(1.0) == pytest.approx(24.3)


def test_a_shoulder_girdle_weighs_what_was_published() -> None:
    """Clavicle 0.156 and scapula 0.704 kg of a 50th-percentile man of about 78 kg (Saul et al. 2015)."""
    man = load_humanoid(sex="male", stature=1.7, mass=78.0)
    for side in "LR":
        assert man.model.body(f"{side}_Thorax").mass[0] == pytest.approx(0.156 + 0.704, rel=0.03)


TRUNK = ["Pelvis", "Torso", "Spine", "Chest", "L_Thorax", "R_Thorax"]


@pytest.mark.parametrize("sex", ["female", "male"])
def test_pieces_of_a_segment_add_up_to_the_published_one(sex: str) -> None:
    """Head, hand and foot are cut in two: together they have the row's mass, centre and longitudinal spread."""
    rows, shape = segments.DE_LEVA[sex], proportions.scaled()
    total = sum(
        r.mass * (1 if n in ("head", "upper_trunk", "middle_trunk", "lower_trunk") else 2) for n, r in rows.items()
    )
    up, forward, left = np.eye(3)[1], np.eye(3)[2], np.eye(3)[0]
    neck = shape.position("Neck")[1]
    hand = abs(shape.offsets["L_Hand"][0]) + 0.0478 + 0.0577
    foot = 0.1213 + 0.0238 + 0.0495 - (0.0249 - 0.0858)
    heel = shape.position("L_Ankle")[2] + 0.0249 - 0.0858
    cases = {  # row: bodies, axis, where the row's first landmark lies, direction, length
        "head": (["Neck", "Head"], up, shape.crown, -1, shape.crown - neck),
        "hand": (["L_Wrist", "L_Hand"], left, shape.position("L_Wrist")[0], 1, hand),
        "foot": (["L_Ankle", "L_Toe"], forward, heel, 1, foot),
    }
    for name, (bodies, axis, start, sign, length) in cases.items():
        row = rows[name]
        mass, centre, moment = composite(bodies, sex, axis)
        assert mass == pytest.approx(row.mass / total, rel=1e-9), name
        assert centre == pytest.approx(start + sign * row.centre * length, abs=1e-9), name
        around = moment @ axis  # about the long axis; the pieces may lie a little off it
        assert around == pytest.approx(mass * (row.longitudinal * length) ** 2, rel=0.15), name


@pytest.mark.parametrize("sex", ["female", "male"])
def test_trunk_agrees_with_the_whole_trunk_of_the_same_study(sex: str, shared) -> None:
    """The three parts that the model uses against the independent row of the whole trunk, C7 to mid hip."""
    rows = (shared / f"data/body_segment_parameters/BSP{sex}_ZdeLeva.txt").read_text().splitlines()
    fields = next(r for r in rows if r.startswith("Trunk 2")).split("\t")
    mass_row, centre_row, sagittal, transverse, longitudinal = (float(x) for x in fields[2:7])
    shape = proportions.scaled()
    top, length = shape.position("Neck")[1], shape.position("Neck")[1] - shape.position("L_Hip")[1]
    mass, centre, moment = composite(TRUNK, sex, np.eye(3)[1])
    assert mass == pytest.approx(mass_row, rel=2e-3)
    assert (top - centre) / length == pytest.approx(centre_row, abs=0.02)
    published = np.array([transverse, longitudinal, sagittal])  # about x, y, z
    np.testing.assert_allclose(np.sqrt(moment / mass) / length, published, rtol=0.07)


@pytest.mark.parametrize("sex", ["female", "male"])
def test_table_restates_the_published_rows(sex: str, shared) -> None:
    names = {
        "head": "Head 2", "upper_trunk": "Upper trunk 2", "middle_trunk": "Middle trunk", "lower_trunk": "Lower trunk",
        "upper_arm": "Upper arm", "forearm": "Forearm", "hand": "Hand 2", "thigh": "Thigh", "shank": "Shank",
        "foot": "Foot",
    }  # fmt: skip
    text = (shared / f"data/body_segment_parameters/BSP{sex}_ZdeLeva.txt").read_text()
    rows = {line.split("\t")[0]: line.split("\t")[2:7] for line in text.splitlines()[1:]}
    for ours, theirs in names.items():
        np.testing.assert_allclose(segments.DE_LEVA[sex][ours], [float(x) for x in rows[theirs]])


def test_proportions_are_the_symmetrised_reference(humanoid: Humanoid, shared) -> None:
    reference = load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml")
    assert reference.body_names == humanoid.body_names
    pos = dict(zip(reference.body_names, reference.model.body_pos, strict=True))
    for i, name in enumerate(humanoid.body_names[2:], start=2):
        mean = 0.5 * (pos[name] + MIRROR @ pos[mirrored(name)])
        np.testing.assert_allclose(humanoid.model.body_pos[i], mean, atol=1.1e-4, err_msg=name)
    for geom in ("L_Hip", "Pelvis", "L_Ankle", "L_Hand", "Chest"):
        ours, theirs = humanoid.model.geom(geom), reference.model.geom(geom)
        np.testing.assert_allclose(ours.size, theirs.size, atol=2.5e-3)
        np.testing.assert_allclose(ours.pos, theirs.pos, atol=7e-3)


def test_hinge_ranges_hold_the_t_pose_and_mirror() -> None:
    model = load_humanoid(layout="hinge").model
    low, high = model.jnt_range[1:, 0], model.jnt_range[1:, 1]
    assert model.jnt_limited[1:].all() and (low < 0).all() and (high > 0).all()
    ranges = {model.joint(j).name: model.jnt_range[j] for j in range(1, model.njnt)}
    assert np.rad2deg(ranges["L_Knee_x"]) == pytest.approx([-10, 165])
    np.testing.assert_allclose(ranges["L_Knee_x"], ranges["R_Knee_x"])
    np.testing.assert_allclose(ranges["L_Hip_z"], -ranges["R_Hip_z"][::-1])


def test_equal_arguments_return_the_same_object() -> None:
    assert load_humanoid() is load_humanoid("smpl")
    assert load_humanoid(stature=1.8) is load_humanoid(stature=1.8)
    assert load_humanoid(stature=1.8) is not load_humanoid()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name_or_mjcf_path": "smplx"}, "'smplx': expected one of smpl, unitree_g1, .*or the path"),
        ({"layout": "euler"}, "layout.*ball.*hinge.*'euler'"),
        ({"stature": -1.0}, "stature.*positive.*-1.0"),
        ({"mass": float("nan")}, "mass.*positive"),
        ({"sex": "robot"}, "sex.*female.*male.*'robot'"),
        ({"betas": [0.0]}, "betas.*smpl_model"),
        ({"segment_masses": "mesh"}, "segment_masses.*smpl_model"),
    ],
)
def test_bad_options_are_named(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_humanoid(**arguments)


def test_t_pose_renders_with_both_sides_coloured(humanoid: Humanoid, gl: None) -> None:
    data = rest(humanoid)
    with mujoco.Renderer(humanoid.model, 240, 240) as renderer:
        camera = mujoco.MjvCamera()
        camera.azimuth, camera.distance, camera.lookat[:] = 180.0, 3.0, (0.0, 0.0, 0.9)  # from the front
        renderer.update_scene(data, camera)
        image = renderer.render().astype(int)
    blue = np.argwhere(image[..., 2] - image[..., 0] > 40)
    orange = np.argwhere(image[..., 0] - image[..., 2] > 60)
    assert len(blue) > 300 and len(orange) > 300
    assert blue[:, 1].mean() > orange[:, 1].mean() + 20, "seen from the front, the left side is on the right"
