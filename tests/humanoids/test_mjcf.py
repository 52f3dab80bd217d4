"""Humanoids from MJCF files: the SMPL-named ones in both axis conventions, a robot, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids import Humanoid, load_humanoid
from mjxhuman.humanoids.anatomy import describe
from mjxhuman.humanoids.registry import find

# body axes of the upright convention from SMPL's: x = forward (z), y = left (x), z = up (y)
UPRIGHT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def upright_twin(humanoid: Humanoid) -> Humanoid:
    """The built-in body with body axes x forward, y left, z up, standing at the same place."""
    source, spec = humanoid.model, mujoco.MjSpec()
    spec.compiler.degree = False
    nodes = [spec.worldbody]
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, UPRIGHT.ravel())
    for body in range(1, source.nbody):
        pos = source.body_pos[body] if body == 1 else UPRIGHT @ source.body_pos[body]
        iquat = np.zeros(4)
        mujoco.mju_mulQuat(iquat, turn, source.body_iquat[body])
        node = nodes[source.body_parentid[body]].add_body(
            name=source.body(body).name, pos=pos, mass=source.body_mass[body], explicitinertial=True,
            ipos=UPRIGHT @ source.body_ipos[body], iquat=iquat, inertia=source.body_inertia[body],
        )  # fmt: skip
        node.add_freejoint() if body == 1 else node.add_joint(type=mujoco.mjtJoint.mjJNT_BALL)
        nodes.append(node)
    for geom in range(source.ngeom):
        if source.geom_bodyid[geom] and source.geom_contype[geom]:
            quat = np.zeros(4)
            mujoco.mju_mulQuat(quat, turn, source.geom_quat[geom])
            nodes[source.geom_bodyid[geom]].add_geom(
                type=source.geom_type[geom], size=source.geom_size[geom], pos=UPRIGHT @ source.geom_pos[geom], quat=quat
            )
    return describe(spec, "upright")


def world_points(humanoid: Humanoid) -> np.ndarray:
    data = mujoco.MjData(humanoid.model)
    mujoco.mj_kinematics(humanoid.model, data)
    matrix = data.xmat.reshape(-1, 3, 3)[humanoid.contacts.body_id]
    return data.xpos[humanoid.contacts.body_id] + np.einsum("pij,pj->pi", matrix, humanoid.contacts.offset)


def test_upright_convention_gives_the_same_anatomy(humanoid: Humanoid) -> None:
    twin = upright_twin(humanoid)
    np.testing.assert_allclose(twin.smpl_frame, [0.5, -0.5, -0.5, -0.5])
    assert twin.stature == pytest.approx(humanoid.stature, rel=1e-9)
    np.testing.assert_allclose(world_points(twin), world_points(humanoid), atol=1e-9)
    np.testing.assert_allclose(twin.contacts.radius, humanoid.contacts.radius, atol=1e-12)
    np.testing.assert_allclose(twin.capsules.ends, humanoid.capsules.ends @ UPRIGHT.T, atol=1e-9)
    # plantarflexion is +x in SMPL's axes and +y in these
    ankle = humanoid.body_names.index("L_Ankle")
    np.testing.assert_allclose(twin.torque_limit[ankle, 1], humanoid.torque_limit[ankle, 0])
    np.testing.assert_allclose(twin.torque_limit[ankle, 2], humanoid.torque_limit[ankle, 1])


def test_smpl_frame_maps_body_rotations(humanoid: Humanoid) -> None:
    """q_body = q_smpl * smpl_frame: in the T-pose facing +x the upright body's rotation is the identity."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, np.full(4, 0.5), upright_twin(humanoid).smpl_frame)
    np.testing.assert_allclose(product, [1, 0, 0, 0], atol=1e-12)


def test_reference_body_has_all_tables(shared: Path) -> None:
    body = load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml")
    assert (body.layout, body.nq, body.name) == ("hinge", 76, "smpl_humanoid")
    assert body.mass == pytest.approx(71.791, abs=1e-3)
    assert body.stature == pytest.approx(1.71, abs=2e-3)
    np.testing.assert_array_equal(body.smpl_frame, [1, 0, 0, 0])
    assert body.contacts is not None and len(body.contacts.radius) == 35
    assert body.capsules is not None and body.range_of_motion is not None and body.torque_limit is not None
    twin = load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml", layout="ball")
    assert (twin.layout, twin.nq) == ("ball", 99)
    with pytest.raises(ValueError, match=r"stature.*shape the built-in body"):
        load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml", stature=1.8)


def test_robot_has_contact_points_and_no_other_anatomy(shared: Path) -> None:
    robot = load_humanoid(shared / "data/reference_mjcf/g1_bm_no_mesh_box_feet.xml")
    assert not robot.is_smpl
    assert (robot.nq, robot.nv, robot.layout) == (36, 35, "mixed")
    assert robot.record is find("unitree_g1") and robot.torque_limit is None and robot.range_of_motion is None
    assert robot.contacts.group_names[:2] == ("left_ankle_roll_link", "right_ankle_roll_link")
    assert robot.contacts.is_foot.sum() == 8
    assert robot is load_humanoid("unitree_g1", mjcf=shared / "data/reference_mjcf/g1_bm_no_mesh_box_feet.xml")
    assert (robot.stature, robot.root_height) == (1.32, 0.793)
    assert robot.mass == pytest.approx(33.34, abs=0.01)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.xml"):
        load_humanoid(tmp_path / "gone.xml")


def test_file_that_is_no_mjcf(tmp_path: Path) -> None:
    path = tmp_path / "broken.xml"
    path.write_text("<mujoco><worldbody><body></mujoco>")
    with pytest.raises(ValueError, match=r"broken\.xml.*cannot read"):
        load_humanoid(path)


def reference_text(humanoid: Humanoid) -> str:
    """The built-in body as MJCF text (written by MuJoCo)."""
    from mjxhuman.humanoids import proportions, segments
    from mjxhuman.humanoids.smpl import build_spec

    shape = proportions.scaled()
    spec = build_spec(shape, segments.body_inertias(shape, 70.0), "ball")
    spec.compile()
    return spec.to_xml()


def test_own_mjcf_loads_back(humanoid: Humanoid, tmp_path: Path) -> None:
    path = tmp_path / "own.xml"
    path.write_text(reference_text(humanoid))
    again = load_humanoid(path)
    assert (again.layout, again.name) == ("ball", "own")
    np.testing.assert_allclose(again.contacts.offset, humanoid.contacts.offset, atol=1e-5)
    # a changed file is read anew
    path.write_text(reference_text(humanoid).replace('name="R_Hand"', 'name="R_Claw"'))
    with pytest.raises(ValueError, match="missing: R_Hand"):
        load_humanoid(path)


def test_turned_body_is_refused(humanoid: Humanoid, tmp_path: Path) -> None:
    path = tmp_path / "turned.xml"
    text = reference_text(humanoid)
    start = text.index('<body name="L_Knee"')
    path.write_text(text[:start] + text[start:].replace('name="L_Knee"', 'name="L_Knee" quat="0.7 0.7 0 0"', 1))
    with pytest.raises(ValueError, match=r"'L_Knee'.*parallel"):
        load_humanoid(path)


def test_other_axis_conventions_are_refused(humanoid: Humanoid, tmp_path: Path) -> None:
    """A body that faces -z in the T-pose: feet the wrong way round."""
    changed = mujoco.MjSpec.from_string(reference_text(humanoid))
    for body in changed.bodies:
        if body.name != "world":
            body.pos = np.array(body.pos) * [1, 1, -1]
    path = tmp_path / "backwards.xml"
    changed.compile()
    path.write_text(changed.to_xml())
    with pytest.raises(ValueError, match="x left, y up, z forward"):
        load_humanoid(path)
