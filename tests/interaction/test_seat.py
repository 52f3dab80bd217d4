"""Seats under people who sit on nothing."""

import numpy as np
import pytest

import mjxhuman
from experiments.measure_forces import TRIALS, measure
from mjxhuman.interaction import poses
from mjxhuman.interaction.seat import find_sitting, fit_seat

pytestmark = pytest.mark.compiled


def test_a_seat_is_found_under_who_sits_and_explains_the_forces(humanoid):
    motion = poses.sitting(humanoid, 0.36)
    found = find_sitting(motion)
    assert found.height == pytest.approx(0.36, abs=0.005)
    assert 0.15 < found.frames.mean() < 0.6
    assert not found.frames[:30].any()  # standing
    scene = fit_seat(motion, backrest=True)
    (chair,), (pose,) = scene.objects, scene.poses
    assert chair.kind == "chair" and chair.parts.mask.sum() == 2
    np.testing.assert_allclose(pose[3:], [1, 0, 0, 0], atol=1e-3)  # faces +x as the person does
    forces = mjxhuman.analyse(motion, scene=scene)
    missing = np.linalg.norm(np.asarray(forces.residual)[:, :3], axis=1) / humanoid.weight
    assert missing[found.frames].max() < 0.1
    feet = np.asarray(forces.grf)[found.frames, :2, 2].sum(1) / humanoid.weight
    assert 0.0 < np.median(feet) < 0.3


def test_who_does_not_sit_gets_no_seat(humanoid):
    still = mjxhuman.motion_from_qpos(humanoid, np.tile(humanoid.model.qpos0, (16, 1)), 30)
    with pytest.raises(ValueError, match=r"motion: expected someone who sits for 0.2 s, found 0\.00 s"):
        fit_seat(still)


@pytest.mark.slow
def test_the_feet_of_someone_who_rises_carry_what_plates_measure(shared):
    trial = next(t for t in TRIALS if t.seat)
    found = measure(trial, shared / "data" / "grf")
    assert found["total vertical"]["rmse"] < 0.12 and found["total vertical"]["r"] > 0.95
    assert found["external support"]["over half"] <= 0.05
