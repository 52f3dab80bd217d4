"""Tunings: what they change, and that files bring them back."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.humanoids import Humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.tuning import LIGHT, STOCK, TUNINGS, Tuning, tuning_from


def test_damping_and_soles_are_those_of_the_tuning(humanoid: Humanoid) -> None:
    stock, light = actuated_humanoid(humanoid), actuated_humanoid(humanoid, tuning=LIGHT)
    joints = np.repeat([name.removeprefix("L_").removeprefix("R_") for name in stock.servos.joints], 3)
    ratio = light.kd / stock.kd
    np.testing.assert_allclose(ratio[np.isin(joints, ("Ankle", "Toe"))], 0.025)
    np.testing.assert_allclose(ratio[~np.isin(joints, ("Ankle", "Toe"))], 0.25)
    np.testing.assert_allclose(light.model.dof_damping[6:], light.kd)
    assert {n: light.kp[joints == n][0] for n in ("Ankle", "Toe", "Knee")} == {"Ankle": 400, "Toe": 50, "Knee": 800}
    np.testing.assert_array_equal(light.model.actuator_gainprm[:, 0], light.kp)
    np.testing.assert_array_equal(light.cap, stock.cap)
    for actuated, radius in ((stock, 0.02), (light, 0.005)):
        assert actuated.model.geom("L_Ankle_contact0").size[0] == pytest.approx(radius)


@pytest.mark.parametrize("tuning", TUNINGS.values())
def test_files_bring_a_tuning_back(tuning: Tuning) -> None:
    assert tuning_from(tuning.text(), "walk.npz") == tuning


def test_files_without_one_have_the_records_servos() -> None:
    assert tuning_from(None, "old.npz") is STOCK


@pytest.mark.parametrize(
    "facts",
    ["light", '{"name": "light"}', LIGHT.text().replace("0.25", '"half"'), LIGHT.text().replace("name", "nom"), 3],
)
def test_other_facts_are_refused(facts: object) -> None:
    with pytest.raises(ValueError, match="walk: tuning: expected JSON of name"):
        tuning_from(facts, "walk")  # type: ignore[arg-type]
