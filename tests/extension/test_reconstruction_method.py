"""A new method of reconstruction: the fit's own inverse dynamics are played back, with no idea of where the body is.

A method moves a simulated body from a state after an estimate; ``follow`` returns the states it went through and the
controls. It falls, and ``reconstruct`` says where: what the body does then is not part of the motion.
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning.reference import make_targets
from mjxhuman.reconstruction import register
from mjxhuman.reconstruction.methods import METHODS, Moved

KEYPOINTS = Path(__file__).parents[2] / "examples" / "walk_keypoints.npz"


class Playback:
    name, humanoid = "playback", None

    def simulator(self, humanoid):
        return make_simulator(actuated_humanoid(humanoid))

    def follow(self, estimate, start, seed):
        simulator = self.simulator(estimate.motion.humanoid)
        model, ctrl = simulator.actuated.model, make_targets(estimate.motion, simulator)[:-1]
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = start.qpos, start.qvel
        states = [(start.qpos, start.qvel)]
        for targets in ctrl:
            data.ctrl[:] = targets
            mujoco.mj_step(model, data, simulator.substeps)
            states.append((data.qpos.copy(), data.qvel.copy()))
        qpos, qvel = (np.array(x) for x in zip(*states, strict=True))
        return Moved(qpos, qvel, ctrl)


@pytest.mark.slow
def test_a_method_without_feedback_is_lost_and_starts_anew():
    register("playback", Playback)
    try:
        found = mjxhuman.reconstruct(KEYPOINTS, method="playback")
    finally:
        del METHODS["playback"]
    assert found.method == "playback" and not found.success
    assert found.lost_frames > 0 and len(found.takes) == len(found.restarts) + 1
    np.testing.assert_allclose(found.replayed()[0], found.takes[0].qpos, atol=1e-9)
