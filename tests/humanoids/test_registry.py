"""Records of bodies: SMPL's, what follows from what is left out, and how files find theirs."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids import SMPL_BODIES, load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.record import BodyRecord, Servo
from mjxhuman.humanoids.registry import find, register, registered

ARM = """<mujoco><worldbody><body name="base" pos="0 0 0.2"><freejoint/><geom type="box" size=".2 .2 .1" mass="5"/>
<body name="left_arm" pos="0 .2 .1"><joint name="left_swing" axis="1 0 0" {joint}/>
<geom type="capsule" fromto="0 0 0 0 .3 0" size=".03" mass="1"/></body>
<body name="right_arm" pos="0 -.2 .1"><joint name="right_swing" axis="1 0 0" {joint}/>
<geom type="capsule" fromto="0 0 0 0 -.3 0" size=".03" mass="1"/></body></body></worldbody>{after}</mujoco>"""


def arms(path, joint: str = "", after: str = "", **fields):
    path.write_text(ARM.format(joint=joint, after=after))
    register(BodyRecord("arms", ("base", "left_arm", "right_arm"), feet=("base",), **fields))
    return load_humanoid("arms", mjcf=path)


@pytest.fixture
def forget():
    yield
    from mjxhuman.humanoids import registry

    registry._RECORDS.pop("arms", None)


def test_smpl_is_as_phc_tracks_it(humanoid):
    record = find("smpl")
    assert humanoid.record is record and humanoid.tracked_ids == tuple(range(1, 25))
    assert set(record.tracked) == set(SMPL_BODIES)
    assert len(record.reset) == len(record.evaluated) == 20
    assert not {"L_Ankle", "R_Toe"} & set(record.reset) and not {"R_Hand", "L_Toe"} & set(record.evaluated)
    assert record.mirrored("L_Hip") == "R_Hip" and record.mirrored("Head") == "Head"
    assert record.unsided("R_Elbow") == "Elbow" and record.servo("R_Elbow") == record.servo("L_Elbow")
    assert humanoid.root_height == pytest.approx(humanoid.model.qpos0[2])


def test_what_is_left_out_follows():
    record = BodyRecord("b", ("root", "left_foot", "arm"), feet=("left_foot",))
    assert (record.reset, record.evaluated) == (("root", "arm"), ("root", "left_foot", "arm"))
    assert record.key == record.style_key == ("left_foot", "arm")
    assert record.rows(("arm", "root")) == (2, 0)
    assert record.servo("knee") == Servo()


def test_bad_records_and_names_are_refused():
    with pytest.raises(ValueError, match="body 'b': key: expected tracked bodies, found hat"):
        BodyRecord("b", ("root",), feet=(), key=("hat",))
    with pytest.raises(ValueError, match="body 'b': tracked: expected the root"):
        BodyRecord("b", (), feet=())
    with pytest.raises(ValueError, match=f"body 'nobody': expected one of {', '.join(registered())}, found"):
        find("nobody")
    with pytest.raises(ValueError, match="humanoid 'unitree_g1': expected mjcf=, the path of its model"):
        load_humanoid("unitree_g1")
    with pytest.raises(ValueError, match="smpl: mjcf: expected beside the name of a registered robot"):
        load_humanoid("smpl", mjcf="body.xml")


def test_a_file_finds_its_record_and_must_have_its_bodies(tmp_path, forget):
    body = arms(tmp_path / "arms.xml", servos=(("swing", Servo(50, 5, 20)),), stature=0.5, root_height=0.25)
    assert load_humanoid(tmp_path / "arms.xml") is body  # recognised by its bodies
    assert (body.stature, body.root_height, body.record.name) == (0.5, 0.25, "arms")
    assert body.contacts.group_names == ("base",) and body.contacts.is_foot.all() and len(body.contacts.radius) == 4
    (tmp_path / "other.xml").write_text(ARM.format(joint="", after="").replace('"right_arm"', '"tail"'))
    assert load_humanoid(tmp_path / "other.xml").record is None
    with pytest.raises(ValueError, match=r"other\.xml: expected the bodies of 'arms', missing: right_arm"):
        load_humanoid("arms", mjcf=tmp_path / "other.xml")
    with pytest.raises(ValueError, match="expected a body that the registry knows"):
        actuated_humanoid(load_humanoid(tmp_path / "other.xml"))


@pytest.mark.parametrize(
    ("joint", "after", "expected"),
    [
        ('stiffness="30" damping="2" actuatorfrcrange="-9 9"', "", (30, 2, 9)),
        ("", '<actuator>{}</actuator>'.format(
            "".join(f'<position joint="{s}_swing" kp="40" kv="3" forcerange="-7 7"/>' for s in ("left", "right"))
        ), (40, 3, 7)),
    ],
)  # fmt: skip
def test_servos_of_the_model_are_kept_where_the_record_says_nothing(tmp_path, forget, joint, after, expected):
    actuated = actuated_humanoid(arms(tmp_path / "arms.xml", joint, after))
    assert (actuated.servos.joints, actuated.servos.axes) == (("left_swing", "right_swing"), 1)
    np.testing.assert_allclose(np.stack([actuated.kp, actuated.kd, actuated.cap])[:, 0], expected)
    model, data = actuated.model, mujoco.MjData(actuated.model)
    assert not model.jnt_stiffness.any()
    data.qpos[7:], data.qvel[6:], data.ctrl[:] = 0.1, 0.5, (0.2, 5.0)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.qfrc_actuator[6:], [0.1 * expected[0], expected[2]])
    np.testing.assert_allclose(data.qfrc_passive[6:], -0.5 * expected[1])


def test_a_servo_that_nobody_states_is_named(tmp_path, forget):
    with pytest.raises(ValueError, match="joint 'left_swing': gain: expected it in the record's servos or in the"):
        actuated_humanoid(arms(tmp_path / "arms.xml"))
    with pytest.raises(ValueError, match="joint 'left_swing': cap: expected"):
        actuated_humanoid(arms(tmp_path / "more.xml", servos=(("swing", Servo(50, 5)),)))
    with pytest.raises(ValueError, match="expected ball joints or hinges throughout, found joint 'left_swing'"):
        actuated_humanoid(arms(tmp_path / "slides.xml", 'type="slide"'))
