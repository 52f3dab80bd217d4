"""The benchmark's work is people who sit, and its ratios are those of processor time."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from experiments.benchmark_scenes import bench, headline, seated
from mjxhuman.physics.loads import scene_loads
from mjxhuman.scenes.compose import common_layout, compose


@pytest.mark.parametrize(("pieces", "hulls"), [(6, False), (17, True)])
def test_the_person_sits(humanoid, pieces, hulls):
    scene = bench(pieces, hulls)
    composed = compose(humanoid, scene, common_layout([scene], 32))
    assert int(scene.objects[0].parts.mask.sum()) == pieces
    model = composed.actuated.model
    data = mujoco.MjData(model)
    data.qpos[:], _ = composed.start(seated(humanoid))
    mujoco.mj_forward(model, data)
    data.ctrl[:] = data.actuator_length
    mujoco.mj_step(model, data, 120)
    loads = scene_loads(composed, data.qpos[None], data.qvel[None], data.ctrl[None])
    assert loads.objects[0, ..., 2].sum() > 0.5 * 9.81 * humanoid.mass


def test_ratios():
    cost = {"bare": 1.0, "boxes_6": 1.25, "hulls_17": 2.0, "mixed": 2.0, "equal_0": 1.0, "equal_1": 3.0}
    found = headline({"rows": [{"name": name, "processor_s": s} for name, s in cost.items()]})
    assert found == {"boxes_6_over_bare": 0.8, "hulls_17_over_bare": 0.5, "mixed_over_equal": 1.0}
    assert np.isfinite(list(found.values())).all()
