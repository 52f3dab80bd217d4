"""A robot of one's own: its MJCF, and a record of what its bodies and joints are for, registered under a name.

From then on it loads by that name, and everything that tracks motion works with it: the agents without training here,
training and evaluation alike.
"""

import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids.record import BodyRecord, Servo
from mjxhuman.humanoids.registry import register
from mjxhuman.tracking.evaluate import evaluate
from mjxhuman.tracking.tracker import load_tracker

LEG = """<body name="{0}_thigh" pos="0 {1} 0"><joint name="{0}_hip" axis="0 1 0"/>
  <geom type="capsule" fromto="0 0 0 0 0 -.4" size=".05" mass="3"/>
  <body name="{0}_shin" pos="0 0 -.4"><joint name="{0}_knee" axis="0 1 0" range="-5 140" limited="true"/>
    <geom type="capsule" fromto="0 0 0 0 0 -.4" size=".04" mass="2"/>
    <body name="{0}_foot" pos="0 0 -.4"><joint name="{0}_ankle" axis="0 1 0"/>
      <geom type="box" pos=".04 0 -.03" size=".12 .05 .02" mass="1"/></body></body></body>"""
MJCF = f"""<mujoco><worldbody><body name="trunk" pos="0 0 .85"><freejoint/>
  <geom type="box" pos="0 0 .2" size=".1 .15 .2" mass="15"/>
  {LEG.format("left", 0.1)}{LEG.format("right", -0.1)}</body></worldbody></mujoco>"""


@pytest.fixture(scope="module")
def biped(tmp_path_factory):
    path = tmp_path_factory.mktemp("biped") / "biped.xml"
    path.write_text(MJCF)
    bodies = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("thigh", "shin", "foot"))
    servos = (("hip", Servo(300, 8, 120)), ("knee", Servo(300, 8, 120)), ("ankle", Servo(150, 4, 80)))
    record = BodyRecord(
        "biped", ("trunk", *bodies), feet=("left_foot", "right_foot"), servos=servos, armature=0.02, mjcf=str(path)
    )
    register(record)
    return mjxhuman.load_humanoid("biped")


def test_it_is_tracked_by_agents_without_training(biped):
    """A second of squatting: servos that hold still miss it, feed-forward control performs it."""
    bend = 0.6 * (1 - np.cos(2 * np.pi * np.arange(31) / 30)) / 2
    qpos = np.tile(biped.model.qpos0, (31, 1))
    qpos[:, 2] -= 0.8 * (1 - np.cos(bend))
    qpos[:, 7:] = np.stack([-bend, 2 * bend, -bend] * 2, 1)
    motion = mjxhuman.motion_from_qpos(biped, qpos, fps=30)
    held, played = (
        next(evaluate(load_tracker(name, humanoid=biped), [motion])).result for name in ("zero", "reference")
    )
    assert (held.frames, held.score) == (31, None)  # no anatomy of people, so no feasibility of it
    assert played.success and played.mpjpe_g < 40 < held.mpjpe_g
    assert played.torque_peak <= 120
