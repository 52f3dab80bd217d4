"""A plan for others: a folder with the model, the controls and a script that replays them with MuJoCo alone."""

from __future__ import annotations

import os
from pathlib import Path

import mujoco
import numpy as np

from mjxhuman.planning.result import Plan
from mjxhuman.runs import atomic_write

_SCRIPT = """\
# Replays the controls in plain MuJoCo {version} (pip install mujoco=={version} numpy); no other force acts on the body.
import mujoco, numpy as np
plan = np.load("controls.npz")
model = mujoco.MjModel.from_binary_path("model.mjb")  # model.xml is the same to the digits that a text file keeps
data = mujoco.MjData(model)
data.qpos[:], data.qvel[:] = plan["start_qpos"], plan["start_qvel"]
for ctrl, expected in zip(plan["ctrl"], plan["qpos"][1:]):
    data.ctrl[:] = ctrl
    mujoco.mj_step(model, data, int(plan["substeps"]))
    assert np.array_equal(data.qpos, expected), f"differs at {{data.time:.3f}} s"
print(f"{{len(plan['ctrl'])}} control steps, {{data.time:.2f}} s: the same, bit for bit")
"""


def export_plan(plan: Plan, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.xml``, ``model.mjb``, ``controls.npz``, ``controls.csv`` and ``replay.py`` into a folder.

    ``controls.npz`` holds ctrl (T - 1, nu) rad, the targets of the servos in the order of the model's actuators,
    substeps (physics steps for each of them), start_qpos, start_qvel, and qpos (T, nq), what the model then does. The
    binary model is exact, for the MuJoCo that wrote it.
    """
    folder, actuated = Path(folder), plan.actuated
    folder.mkdir(parents=True, exist_ok=True)
    model = actuated.model
    with atomic_write(folder / "model.xml") as file:
        file.write(actuated.spec.to_xml())
    mujoco.mj_saveModel(model, str(folder / "model.mjb"))
    qpos, qvel = plan.start
    with atomic_write(folder / "controls.npz", "wb") as file:
        np.savez_compressed(
            file, ctrl=plan.ctrl, start_qpos=qpos, start_qvel=qvel, qpos=plan.replayed(),
            substeps=np.array(plan.substeps),
        )  # fmt: skip
    names = [model.actuator(k).name for k in range(model.nu)]
    with atomic_write(folder / "controls.csv") as file:
        file.write(",".join(["time", *names]) + "\n")
        times = np.arange(len(plan.ctrl)) / plan.motion.fps
        np.savetxt(file, np.column_stack([times, plan.ctrl]), fmt="%.17g", delimiter=",")
    with atomic_write(folder / "replay.py") as file:
        file.write(_SCRIPT.format(version=mujoco.__version__))
    return folder
