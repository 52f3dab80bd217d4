"""A person and furniture in one simulation: what becomes of them is what mechanics says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pytest
from interaction.sitting import SEAT, sitting_pose, still
from scenes.furniture import chair, made_of, room

import mjxhuman
from mjxhuman.humanoids.tuning import LIGHT, Tuning
from mjxhuman.interaction.controllers import Trials, controller_named
from mjxhuman.interaction.outcome import UNFIT
from mjxhuman.interaction.place import joined
from mjxhuman.interaction.simulate import _wanted, carrier_of, simulate_scene
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.scenes import HeightField
from mjxhuman.scenes.compose import Composed, compose
from mjxhuman.scenes.sdf import scene_surface
from mjxhuman.scenes.surface import measure
from mjxhuman.types import Motion

pytestmark = pytest.mark.compiled


@dataclasses.dataclass(frozen=True)
class Posed:
    """Servos that hold the pose of each frame: a controller from outside the package."""

    contacts: str = "full"
    tuning: Tuning = LIGHT
    fps: float = 30.0

    def drive(self, trials: Sequence[Composed], motion: Motion, start: tuple, surface: object, seed: int) -> Trials:
        models = [trial.actuated.model for trial in trials]
        simulator = make_simulator(trials[0].actuated, "c", self.fps, models)
        ctrl = np.repeat(np.asarray(simulator.joint_pos(jnp.asarray(motion.qpos)), float)[None], len(trials), 0)
        after = simulator.backend.rollout_host(*start, np.zeros_like(start[1]), ctrl[:, :-1])
        return Trials(*(np.concatenate([x[:, None], y], 1) for x, y in zip(start, after[:2], strict=True)), ctrl)


@pytest.fixture(scope="module")
def sits(humanoid):
    return still(humanoid, sitting_pose(humanoid))


SCENES = {
    "chair": (4, room(chair(SEAT), at=[(0.05, 0)])),
    "two legs": (1, room(chair(SEAT, legs=2), at=[(0.05, 0)])),
    "no seat there": (2, room(chair(SEAT), at=[(3, 0)])),
    "seat too low": (2, room(chair(SEAT - 0.1), at=[(0.05, 0)])),
    "seat too high": (UNFIT, room(chair(SEAT + 0.05), at=[(0.05, 0)])),
}


@pytest.mark.parametrize("name", SCENES)
def test_what_becomes_of_a_person_on_a_chair(sits, name):
    kind, scene = SCENES[name]
    outcome = simulate_scene(sits, scene, tracker=Posed(), hold=2.0)
    assert (outcome.type, outcome.valid) == (kind, kind != UNFIT), outcome.reason
    assert outcome.types == (kind,) * 3
    assert (outcome.interval[0] > 0.4) == (kind == 4)
    if kind == 4:
        weight = 9.81 * sits.humanoid.mass
        assert outcome.loads.objects[-1, ..., 2].sum() / weight == pytest.approx(0.76, abs=0.1)
        total = outcome.loads.objects[-1].sum((0, 1)) + outcome.loads.floor[-1].sum(0)
        np.testing.assert_allclose(total / weight, [0, 0, 1], atol=0.02)
        assert outcome.numbers["displacement_m"] < 0.005 and outcome.numbers["internal_load_bw"] < 1.1
        assert outcome.object_pose.shape == (len(outcome.motion.qpos), 1, 7)


@pytest.mark.parametrize(("gap", "wanted"), [(0.015, True), (0.035, False)])
def test_who_is_two_centimetres_over_a_seat_sits_on_it(sits, gap, wanted):
    composed = compose(sits.humanoid, room(chair(SEAT - gap), at=[(0.05, 0)]))
    found = _wanted(composed, sits)
    assert found.sits is wanted and bool(len(found.pairs)) is wanted and found.depth == 0


def test_standing_beside_a_chair_is_no_use_of_it(humanoid):
    stands = still(humanoid, humanoid.model.qpos0)
    outcome = simulate_scene(stands, room(chair(), at=[(0.6, 0)]), tracker=Posed(), hold=1.5, noise=None)
    assert (outcome.type, outcome.reason) == (3, "the motion touches no object")
    assert outcome.types == (3,)


def test_equal_seeds_give_equal_bits_and_others_other_trials(sits):
    scene = SCENES["chair"][1]
    first, again, other = (simulate_scene(sits, scene, tracker=Posed(), hold=0.5, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.object_pose, again.object_pose)
    np.testing.assert_array_equal(first.motion.qpos, again.motion.qpos)
    assert np.abs(first.object_pose - other.object_pose).max() > 1e-4


def test_padding_the_hulls_of_what_carries_changes_no_distance():
    scene = room(chair(SEAT, back=True), chair(0.3), at=[(0.1, 0), (1, 0)])
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    padded, plain = (measure(s, points) for s in (carrier_of(scene), scene_surface(scene)))
    np.testing.assert_allclose(padded.distance, plain.distance, atol=1e-6)
    assert [part.hulls.planes.shape[:2] for part in carrier_of(scene).parts[1:]] == [(8, 6)] * 2


def test_what_cannot_be_simulated_is_named(sits):
    scene = SCENES["chair"][1]
    unfit = room(dataclasses.replace(chair(), unfit="lost two feet"))
    outcome = simulate_scene(sits, unfit)
    assert (outcome.type, outcome.valid, outcome.reason) == (UNFIT, False, "unfit: chair: lost two feet")
    made = mjxhuman.make_furniture("chair", 1)
    low = scene.replace(poses=np.array(scene.poses) - [0, 0, 0.05, 0, 0, 0, 0])
    light = scene.replace(objects=(scene.objects[0].replace(mass=np.array(0.001)),))
    for odd, reason in (
        (low, "unfit: chair: expected it on the floor, found it 0.050 m under it"),
        (light, "unfit: chair: mass: expected 0.1 to 500 kg, found 0.001"),
        (joined([made, made]), "unfit: chair:1: expected it beside chair:1:2, found it"),
    ):
        outcome = simulate_scene(sits, odd)
        assert (outcome.type, outcome.motion) == (UNFIT, None) and outcome.reason.startswith(reason), outcome.reason
    with pytest.raises(ValueError, match="scene: expected a Scene with objects"):
        simulate_scene(sits, room())
    slope = dataclasses.replace(scene, floor=HeightField(np.zeros((2, 2)), np.zeros(2), np.array(1.0)))
    with pytest.raises(ValueError, match="floor: expected the level floor z = 0"):
        simulate_scene(sits, slope)
    with pytest.raises(ValueError, match="hold: expected seconds >= 0, found -1"):
        simulate_scene(sits, scene, hold=-1)
    with pytest.raises(ValueError, match=r"tracker: expected a preset of fast, .* found 'slow'"):
        controller_named("planner:slow")


@pytest.mark.slow
@pytest.mark.parametrize("tracker", [None, "planner:fast", "reference"])
def test_every_controller_sits(sits, tracker):
    outcome = mjxhuman.simulate_scene(sits, SCENES["chair"][1], tracker=tracker, hold=1.5, noise=None)
    assert outcome.type == 4, outcome.reason


def test_a_fixed_bench_beside_a_free_table(sits):
    bench = made_of([((0.25, 0.25, SEAT / 2), (0, 0, SEAT / 2))], name="bench", free=False)
    outcome = simulate_scene(sits, room(chair(0.7), bench, at=[(1.5, 0), (0, 0)]), tracker=Posed(), hold=1.5)
    assert outcome.type == 4, outcome.reason
    assert not outcome.loads.objects[-1, :, 0].any()
    assert outcome.loads.objects[-1, :, 1, 2].sum() > 0.5 * 9.81 * sits.humanoid.mass
