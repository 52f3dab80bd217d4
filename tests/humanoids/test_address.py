"""Which coordinates of a model are the body's."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids.actuated import actuated_humanoid, randomized_models
from mjxhuman.humanoids.address import BodyAddress, body_address

#: A slider with a motor, a body of three joints with two servos, a free ball.
THREE = """
<mujoco>
  <worldbody>
    <body name="door"><joint name="rail" type="slide"/><geom size="0.1"/></body>
    <body name="trunk"><freejoint/><geom size="0.1"/>
      <body name="arm" pos="0 0 1"><joint name="shoulder" type="ball"/><geom size="0.1"/>
        <body name="hand" pos="0 0 1"><joint name="wrist"/><geom size="0.1"/></body>
      </body>
    </body>
    <body name="ball" pos="3 0 0"><freejoint/><geom size="0.1"/></body>
  </worldbody>
  <actuator><motor joint="rail"/><position joint="shoulder" gear="1 0 0"/><position joint="wrist"/></actuator>
</mujoco>
"""


def add_box(spec: mujoco.MjSpec) -> None:
    """A free box far away, which touches nothing."""
    box = spec.worldbody.add_body(name="box", pos=(50.0, 0.0, 1.0))
    box.add_freejoint()
    box.add_geom(name="box", type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.2, 0.2, 0.2), contype=0, conaffinity=0)


def test_a_body_among_other_things():
    model = mujoco.MjModel.from_xml_string(THREE)
    at = body_address(model, "trunk")
    assert at == BodyAddress(2, 3, 1, 12, 1, 10, 1, 2)
    assert hash(at) == hash(body_address(mujoco.MjModel.from_xml_string(THREE), "trunk"))
    qpos, qvel = np.arange(model.nq), np.arange(model.nv)
    assert qpos[at.qpos].tolist() == list(range(1, 13)) and qvel[at.qvel].tolist() == list(range(1, 11))
    assert qpos[at.root_pos].tolist() == [1, 2, 3] and qpos[at.root_quat].tolist() == [4, 5, 6, 7]
    assert qpos[at.joint_qpos].tolist() == [8, 9, 10, 11, 12] and qvel[at.joint_qvel].tolist() == [7, 8, 9, 10]
    assert qvel[at.root_linvel].tolist() == [1, 2, 3] and qvel[at.root_angvel].tolist() == [4, 5, 6]
    assert [model.body(i).name for i in np.arange(model.nbody)[at.bodies]] == ["trunk", "arm", "hand"]
    assert np.arange(model.nu)[at.ctrl].tolist() == [1, 2]
    assert at.alone == BodyAddress(1, 3, 0, 12, 0, 10, 0, 2)
    assert body_address(model, "ball") == BodyAddress(5, 1, 13, 7, 11, 6, 0, 0)


def test_what_has_no_address_is_refused():
    model = mujoco.MjModel.from_xml_string(THREE)
    with pytest.raises(ValueError, match="body 'leg': expected its name in the model, found none"):
        body_address(model, "leg")
    for name in ("door", "arm"):
        with pytest.raises(ValueError, match=f"body '{name}': expected a free joint, found none"):
            body_address(model, name)
    mixed = THREE.replace('<motor joint="rail"/>', "").replace(
        '<position joint="wrist"/>', '<motor joint="rail"/><position joint="wrist"/>'
    )
    with pytest.raises(ValueError, match=r"body 'trunk': expected its actuators in one piece, found numbers \[0, 2\]"):
        body_address(mujoco.MjModel.from_xml_string(mixed), "trunk")


def test_a_scene_comes_behind_the_body(humanoid):
    plain, scene = actuated_humanoid(humanoid), actuated_humanoid(humanoid, scene=add_box)
    assert actuated_humanoid(humanoid, scene=add_box) is scene
    assert scene.address == plain.address == plain.address.alone
    assert (scene.model.nq, scene.nu, plain.model.nq) == (106, 69, 99)
    assert scene.describe() == plain.describe().replace("nq 99, nv 75", "nq 106, nv 81")
    for a, b in zip(randomized_models(plain, 2, seed=0), randomized_models(scene, 2, seed=0), strict=True):
        np.testing.assert_array_equal(a.body_mass, b.body_mass[:-1])
        np.testing.assert_array_equal(a.dof_damping, b.dof_damping[:-6])
        assert b.body_mass[-1] == scene.model.body_mass[-1]


def test_a_scene_that_moves_the_body_is_refused(humanoid):
    def add_motor(spec: mujoco.MjSpec) -> None:
        add_box(spec)
        spec.body("box").add_body().add_joint(name="lid")
        spec.body("box").bodies[0].add_geom(size=(0.1, 0, 0))
        spec.add_actuator(target="lid", trntype=mujoco.mjtTrn.mjTRN_JOINT)

    with pytest.raises(ValueError, match="scene: expected objects behind the body and no actuators, found"):
        actuated_humanoid(humanoid, scene=add_motor)
