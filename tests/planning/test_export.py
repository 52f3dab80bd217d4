"""A plan in a folder of its own: the script beside it replays it without this package."""

from __future__ import annotations

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.tuning import LIGHT
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.planning import Plan, Planner, Settings
from mjxhuman.planning.export import export_plan

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def stand(humanoid) -> Plan:
    """Half a second of the T-pose."""
    rest = motion_from_qpos(humanoid, np.tile(np.asarray(humanoid.model.qpos0), (16, 1)), 30.0)
    planner = Planner(actuated_humanoid(humanoid, tuning=LIGHT), Settings(12, 2, 8))
    return planner(rest, progress=False)


def test_the_script_replays_the_plan_bit_for_bit(stand, tmp_path):
    folder = export_plan(stand, tmp_path / "stand")
    done = subprocess.run([sys.executable, "-I", "replay.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "15 control steps, 0.50 s: the same, bit for bit" in done.stdout, done.stderr
    text = (folder / "replay.py").read_text()
    assert "mjxhuman" not in text and len(text.splitlines()) <= 12
    with np.load(folder / "controls.npz") as file:
        np.testing.assert_allclose(file["qpos"], stand.motion.qpos, atol=1e-6)
        arrays = dict(file)
    arrays["ctrl"][3] += 1e-3  # other controls are noticed
    np.savez(folder / "controls.npz", **arrays)
    done = subprocess.run([sys.executable, "-I", "replay.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "differs at 0.133 s" in done.stderr


def test_the_xml_is_the_model_and_the_table_the_controls(stand, tmp_path):
    folder = export_plan(stand, tmp_path / "stand")
    model, exact = mujoco.MjModel.from_xml_path(str(folder / "model.xml")), stand.actuated.model
    assert (model.nq, model.nu, model.npair) == (exact.nq, exact.nu, exact.npair)
    assert model.opt.timestep == pytest.approx(exact.opt.timestep, rel=1e-5)
    np.testing.assert_allclose(model.body_mass, exact.body_mass, rtol=1e-5)
    np.testing.assert_allclose(model.dof_damping, exact.dof_damping, rtol=1e-5)
    header, *rows = (folder / "controls.csv").read_text().splitlines()
    assert header.split(",")[1] == exact.actuator(0).name and len(rows) == len(stand.ctrl)
    np.testing.assert_array_equal([float(x) for x in rows[2].split(",")[1:]], stand.ctrl[2])
