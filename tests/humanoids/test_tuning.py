"""Tunings: what they change, and that files bring them back."""

from __future__ import annotations

import dataclasses

import mujoco
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
    assert {n: light.cap[joints == n][0] for n in ("Ankle", "Toe", "Elbow")} == {"Ankle": 350, "Toe": 150, "Elbow": 75}
    np.testing.assert_array_equal(light.model.actuator_forcerange[:, 1], light.cap)
    for actuated, radius in ((stock, 0.02), (light, 0.005)):
        assert actuated.model.geom("L_Ankle_contact0").size[0] == pytest.approx(radius)


def test_random_targets_stay_finite(humanoid: Humanoid) -> None:
    """4 s of targets of 2 rad in every direction; uncapped springs throw the same body out of MuJoCo's range."""

    def broken(tuning: Tuning) -> int:
        model, rng = actuated_humanoid(humanoid, tuning=tuning).model, np.random.default_rng(0)
        data = [mujoco.MjData(model) for _ in range(8)]
        for d in data * 120:
            d.ctrl[:] = rng.uniform(-2.0, 2.0, model.nu)
            mujoco.mj_step(model, d, 4)
        return sum(any(w.number for w in d.warning) for d in data)

    assert broken(LIGHT) == 0
    assert broken(dataclasses.replace(LIGHT, cap=1.0, cap_of=())) > 0


def test_a_body_lies_on_its_skin(humanoid: Humanoid) -> None:
    on_points, on_skin = (
        actuated_humanoid(humanoid, tuning=dataclasses.replace(STOCK, skin=skin)).model for skin in (False, True)
    )
    added = on_skin.npair - on_points.npair
    assert added == 17  # thighs are drawn as three shapes each
    assert actuated_humanoid(humanoid, "feet", tuning=dataclasses.replace(STOCK, skin=True)).model.npair < added + 40
    data = mujoco.MjData(on_skin)
    data.qpos[3:7] = 0.5, -0.5, 0.5, -0.5  # on its side
    data.qpos[2] = 0.1
    mujoco.mj_forward(on_skin, data)
    touching = {on_skin.geom(int(c.geom2)).name for c in data.contact} | {
        on_skin.geom(int(c.geom1)).name for c in data.contact
    }
    assert "Chest_skin" in touching


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
