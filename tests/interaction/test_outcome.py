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
    assert judge(sitting(), Limits().relaxed(0.5)).type == 4
