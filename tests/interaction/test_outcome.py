"""One state made by hand for each outcome, and what decides it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.interaction.outcome import UNFIT, Limits, Recording, judge

FRAMES, DT = 90, 1 / 30


def sitting(**changes: object) -> Recording:
    """A person at rest on a chair that stands still, for three seconds."""
    pose, ones = np.array([[0.0, 0, 0, 1, 0, 0, 0]]), np.ones(FRAMES)
    record = Recording(
        alone=np.repeat(pose[None], 31, 0), alone_speed=np.zeros((31, 1)), poses=np.repeat(pose[None], FRAMES, 0),
        speed=np.zeros((FRAMES, 1)), spin=np.zeros((FRAMES, 1)), joint_error=0.03 * ones,
        pelvis_down=np.zeros(FRAMES, bool), squeeze=1.0 * ones, carried=0.8 * ones,
        distance=np.zeros((FRAMES, 2)), pressed=np.full((FRAMES, 2), 250.0), start_depth=np.array(0.0),
        sits=True, lies=False, dt=DT,
    )  # fmt: skip
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def ending(pose: list[float], first: str = "poses") -> dict[str, np.ndarray]:
    """The chair's path to another pose."""
    path = np.repeat(np.array([[[0.0, 0, 0, 1, 0, 0, 0]]]), 31 if first == "alone" else FRAMES, 0)
    path[-20:] = pose
    return {first: path}


def turned(degrees: float) -> list[float]:
    half = np.deg2rad(degrees) / 2
    return [0, 0, 0, np.cos(half), np.sin(half), 0, 0]


LATE = (np.arange(FRAMES) >= FRAMES - 30) * 1.0
CASES = {
    "sits": (4, {}),
    "its chair falls over on its own": (1, ending(turned(25), "alone")),
    "its chair slides on its own": (1, ending([0.06, 0, 0, 1, 0, 0, 0], "alone")),
    "its chair is still falling": (1, {"alone_speed": np.full((31, 1), 0.06)}),
    "falls with the chair": (2, ending(turned(25))),
    "kicks the chair away": (2, ending([0.4, 0, 0, 1, 0, 0, 0])),
    "rocks": (2, {"speed": 0.2 * LATE[:, None]}),
    "spins": (2, {"spin": 0.6 * LATE[:, None]}),
    "is somewhere else": (2, {"joint_error": 0.1 + 0.6 * LATE}),
    "breaks down": (2, {"joint_error": np.where(np.arange(FRAMES) > 40, np.inf, 0.1)}),
    "sits beside the chair": (2, {"pelvis_down": LATE > 0}),
    "is wedged": (2, {"squeeze": np.full(FRAMES, 7.4)}),
    "hovers over the chair": (3, {"distance": np.full((FRAMES, 2), 0.03), "pressed": np.zeros((FRAMES, 2))}),
    "stands before the chair": (3, {"carried": np.full(FRAMES, 0.1)}),
    "has nothing to do with the chair": (3, {"distance": np.zeros((FRAMES, 0)), "pressed": np.zeros((FRAMES, 0))}),
    "starts inside the chair": (UNFIT, {"start_depth": np.array(0.02)}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_state_of_each_kind(case):
    kind, changes = CASES[case]
    verdict = judge(sitting(**changes))
    assert verdict.type == kind, verdict
    assert verdict.reason and "{" not in verdict.reason


def test_the_order_of_the_tests_is_that_of_the_types():
    changes: dict[str, object] = {}
    for case, kind in (("hovers over the chair", 3), ("kicks the chair away", 2), ("starts inside the chair", UNFIT)):
        changes |= CASES[case][1]
        assert judge(sitting(**changes)).type == kind
    assert judge(sitting(**changes, **ending(turned(25), "alone"))).type == 1


STILL = np.zeros(FRAMES)
EARLY = np.arange(FRAMES) < FRAMES - 30
#: What is just accepted, what just is not, and the outcome that it then is.
EDGES: dict[str, tuple[dict, dict, int]] = {
    "alone_turn": (ending(turned(19.9), "alone"), ending(turned(20.1), "alone"), 1),
    "alone_drift": (ending([0.049, 0, 0, 1, 0, 0, 0], "alone"), ending([0, 0.051, 0, 1, 0, 0, 0], "alone"), 1),
    "alone_speed": ({"alone_speed": np.full((31, 1), 0.049)}, {"alone_speed": np.full((31, 1), 0.051)}, 1),
    "tilt": (ending(turned(19.9)), ending(turned(20.1)), 2),
    "displacement": (ending([0.299, 0, 0, 1, 0, 0, 0]), ending([0.301, 0, 0, 1, 0, 0, 0]), 2),
    "speed": ({"speed": 0.099 * LATE[:, None] + 9 * EARLY[:, None]}, {"speed": 0.101 * LATE[:, None]}, 2),
    "spin": ({"spin": 0.499 * LATE[:, None] + 9 * EARLY[:, None]}, {"spin": 0.501 * LATE[:, None]}, 2),
    "joint_error": ({"joint_error": 0.499 * LATE + 9 * EARLY}, {"joint_error": 0.501 * LATE}, 2),
    "internal_load": ({"squeeze": 1.99 * LATE + 9 * EARLY}, {"squeeze": 2.01 * LATE}, 2),
    "seat_share": ({"carried": 0.201 * LATE}, {"carried": 0.199 * LATE + EARLY}, 3),
    "seat_share, where nobody sits": ({"carried": STILL, "sits": False}, {"carried": STILL}, 3),
    "start_depth": ({"start_depth": np.array(0.0099)}, {"start_depth": np.array(0.0101)}, UNFIT),
}


@pytest.mark.parametrize("limit", EDGES)
def test_each_limit_decides_at_its_value(limit):
    accepted, refused, kind = EDGES[limit]
    assert judge(sitting(**accepted)).type == 4
    assert judge(sitting(**refused)).type == kind


def test_contact_is_near_or_pressed_by_any_pair_for_four_fifths_of_the_last_second():
    def kind(distance: float, pressed: float, frames: int = 30) -> int:
        use = np.zeros((FRAMES, 2), bool)
        use[-frames::2, 0] = use[-frames + 1 :: 2, 1] = True  # in turns
        return judge(sitting(distance=np.where(use, distance, 0.04), pressed=np.where(use, pressed, 0.0))).type

    assert [kind(0.019, 0.0), kind(0.04, 2.1), kind(0.021, 1.9)] == [4, 4, 3]
    assert [kind(0.0, 250.0, frames) for frames in (24, 23)] == [4, 3]


def test_objects_alone_may_move_until_half_a_second_before_the_person_comes():
    alone = np.where(np.arange(31) < 16, 0.5, 0.0)[:, None]
    assert judge(sitting(alone_speed=alone)).type == 4
    assert judge(sitting(alone_speed=np.roll(alone, 1, 0))).type == 1


def test_lying_on_the_floor_is_no_fall_where_the_motion_does_it():
    down = np.ones(FRAMES, bool)
    assert judge(sitting(pelvis_down=down, lies=True, sits=False)).type == 4


def test_an_object_may_turn_about_the_vertical_with_a_person_but_not_tilt():
    half = np.deg2rad(15)
    assert judge(sitting(**ending([0, 0, 0, np.cos(half), 0, 0, np.sin(half)]))).type == 4


def test_wider_thresholds_let_more_pass_and_narrower_less():
    record = sitting(**ending(turned(15)), carried=np.full(FRAMES, 0.15), squeeze=np.full(FRAMES, 1.6))
    assert judge(record).type == 3
    assert judge(record, Limits().relaxed(2.0)).type == 4
    assert judge(record, Limits().relaxed(0.5)).type == 2
    assert Limits().relaxed(1.0) == Limits()
    half, double = (tuple(dataclasses.asdict(Limits().relaxed(factor)).values()) for factor in (0.5, 2.0))
    np.testing.assert_allclose(half, (10, 0.025, 0.025, 10, 0.15, 0.05, 0.25, 0.25, 1.5, 0.01, 4, 1, 0.4, 0.005))
    np.testing.assert_allclose(double, (40, 0.1, 0.1, 40, 0.6, 0.2, 1, 1, 3, 0.04, 1, 0.4, 0.1, 0.02))
    assert judge(sitting(), Limits().relaxed(0.5)).type == 4
