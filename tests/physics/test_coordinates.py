"""Moving along the tangent of a body's coordinates, as MuJoCo does."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mjxhuman.physics.coordinates import coordinates

HINGES = """<mujoco><worldbody><body pos="0 0 1"><freejoint/><geom size=".1"/>
<body><joint type="ball"/><geom size=".1"/><body><joint axis="0 1 0"/><joint axis="1 0 0"/><geom size=".1"/></body>
</body></body></worldbody></mujoco>"""


@pytest.mark.parametrize("kind", ["smpl", "hinges"])
def test_a_displacement_is_mujocos(humanoid, kind):
    model = humanoid.model if kind == "smpl" else mujoco.MjModel.from_xml_string(HINGES)
    rng = np.random.default_rng(0)
    qpos = np.array(coordinates(model).normalize(rng.normal(size=(3, model.nq))), np.float64)
    step = rng.normal(size=(3, model.nv))
    moved = np.asarray(coordinates(model).displaced(qpos, step))
    for before, by, after in zip(qpos, step, moved):
        mujoco.mj_integratePos(model, before, by, 1.0)
        np.testing.assert_allclose(after, before, atol=2e-6)
