"""Ground reactions and joint moments estimated from markers alone, against force plates and inverse dynamics.

    python -m experiments.measure_forces --data=mocap/grf --out=out/forces

Reads the trials of ``TRIALS`` found under ``--data`` (public sets of OpenSim and AddBiomechanics: markers, plates and,
where the set has them, joint moments of inverse dynamics with the measured forces). Prints per trial and foot the
correlation and the root-mean-square error of the vertical and the fore-aft force in body weights, and of hip, knee and
ankle flexion moments in N m, and writes them to ``forces.json``. Frames count where the plates carry the person.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import flags

from mjxhuman.runs import atomic_write, describe, enable_compile_cache

from .launch import launch

GRAVITY = 9.81
SIDES = ("L", "R")


class Trial(NamedTuple):
    """Files of one trial, relative to the folder of sets."""

    name: str
    markers: str
    forces: str
    mass: float  # kg
    columns: tuple[str, str]  # of the left and right plate, up to "_vx"
    moments: str = ""
    least: float = 0.6  # body weights on the plates of frames that count: walking on plates alone never has less
    seat: bool = False  # the person sits on what has no plate: a seat is fitted (``interaction.seat``)


TRIALS = (
    Trial(
        "synthetic walk", "arnold_synthetic_s18/walk2_markers.trc", "arnold_synthetic_s18/walk2_grf.mot", 64.09,
        ("ground_force_l", "ground_force_r"), "arnold_synthetic_s18/id.sto",
    ),
    Trial(
        "walk, Rajagopal", "rajagopal_walk/markers_walk.trc", "rajagopal_walk/grf_walk.mot", 85.27,
        ("ground_force_l", "ground_force_r"), "rajagopal_walk/id_walk.sto",
    ),
    Trial(
        "walk, Lencioni", "lencioni2019_walk/markers.trc", "lencioni2019_walk/grf.mot", 84.0,
        ("L_ground_force", "R_ground_force"),
    ),
    *(
        Trial(
            f"{name}, OpenCap", f"opencap_subject4/{file}_markers.trc", f"opencap_subject4/{file}_grf.mot", 62.6,
            ("ground_force_2", "ground_force_1"), least=0.05 if "jump" in name else 0.6,
        )
        for name, file in (
            ("walk", "walking1"), ("walk, toes out", "walkingTO1"),
            ("drop jump", "DJ1"), ("drop jump, one leg", "DJAsym1"),
        )
    ),
    Trial(
        "rises from a chair, OpenCap", "opencap_subject4/STS1_markers.trc", "opencap_subject4/STS1_grf.mot", 62.6,
        ("ground_force_2", "ground_force_1"), least=5.0 / (62.6 * GRAVITY), seat=True,
    ),
    Trial(
        "run, BMC", "bmc_running/markers_run.trc", "bmc_running/grf_run.mot", 70.0,
        ("L_ground_force", "R_ground_force"), "bmc_running/id_run.sto", 0.05,
    ),
)  # fmt: skip

#: OpenSim's coordinate, our body whose torque it is, and the sign about our body's left axis.
MOMENTS = {
    "hip": ("hip_flexion_{}_moment", "{}_Hip", -1.0),
    "knee": ("knee_angle_{}_moment", "{}_Knee", 1.0),
    "ankle": ("ankle_angle_{}_moment", "{}_Ankle", -1.0),
}


def read_table(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Columns of an OpenSim table."""
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().lower() == "endheader") + 1
    rows = [line for line in lines[start:] if line.strip()]
    values = np.array([[float(x) for x in line.split()] for line in rows[1:]])
    return dict(zip(rows[0].split(), values.T, strict=True))


def agreement(estimate: np.ndarray, truth: np.ndarray, scale: float = 1.0) -> dict[str, float]:
    """Correlation and root-mean-square error."""
    error = (estimate - truth) / scale
    return {"r": float(np.corrcoef(estimate, truth)[0, 1]), "rmse": float(np.sqrt(np.mean(error**2)))}


def measure(trial: Trial, folder: pathlib.Path) -> dict[str, dict[str, float]]:
    """Agreement per quantity and foot."""
    import mjxhuman
    from mjxhuman.interaction.seat import fit_seat

    path = folder / trial.markers
    stature = mjxhuman.load_motion(path).humanoid.stature
    body = mjxhuman.load_humanoid("smpl", stature=round(stature, 2), mass=trial.mass)
    motion = mjxhuman.load_motion(path, humanoid=body)
    scene = fit_seat(motion) if trial.seat else None
    dynamics, scores = mjxhuman.analyse(motion, scene=scene), mjxhuman.score(motion, scene=scene)
    start = float(next(line for line in path.read_text().splitlines()[5:] if line.strip()).split()[1])
    time = start + np.arange(motion.num_frames) * motion.dt
    weight = trial.mass * GRAVITY
    table = read_table(folder / trial.forces)
    plates = np.stack([[_at(time, table, f"{c}_v{axis}") for axis in "xyz"] for c in trial.columns])
    plates = np.moveaxis(plates[:, [2, 0, 1]], 1, -1)  # (2, T, 3): y up as the loader turns it, z -> x, x -> y, y -> z
    total = plates.sum(0)
    use = np.isfinite(total[:, 2]) & (np.nan_to_num(total[:, 2]) > trial.least * weight)
    use &= ~np.isnan(scores.frames["total"])  # the ends, where windows are not whole
    ours = np.moveaxis(np.asarray(dynamics.grf)[:, :2], 1, 0)
    pelvis = np.asarray(motion.body_pos)[:, motion.humanoid.body_names.index("Pelvis")]
    travel = (pelvis[-1] - pelvis[0])[:2]
    ahead = travel / np.linalg.norm(travel)
    result = {"total vertical": agreement(ours.sum(0)[use, 2], total[use, 2], weight)}
    if trial.seat:
        result["external support"] = {"over half": float(np.nanmean(scores.frames["external_support"] > 0.5))}
    for side, estimate, truth in zip(SIDES, ours, plates, strict=True):
        result[f"vertical {side}"] = agreement(estimate[use, 2], truth[use, 2], weight)
        if np.linalg.norm(travel) > 0.5:
            result[f"fore-aft {side}"] = agreement(estimate[use, :2] @ ahead, truth[use, :2] @ ahead, weight)
    if trial.moments:
        reference = read_table(folder / trial.moments)
        torque = np.asarray(dynamics.joint_torque)
        for name, (column, joint, sign) in MOMENTS.items():
            for side in SIDES:
                truth = _at(time, reference, column.format(side.lower()))
                keep = use & np.isfinite(truth)
                estimate = sign * torque[:, motion.humanoid.body_names.index(joint.format(side)), 0]
                result[f"{name} {side}"] = agreement(estimate[keep], truth[keep])
    return result


def _at(time: np.ndarray, table: dict[str, np.ndarray], column: str) -> np.ndarray:
    return np.interp(time, table["time"], table[column], left=np.nan, right=np.nan)


def define_flags() -> None:
    """The command line; not at import, so that several experiments can be loaded side by side."""
    flags.DEFINE_string("data", None, "Folder of the sets, see TRIALS.", required=True)
    flags.DEFINE_string("out", "out/forces", "Folder for results.")
    flags.DEFINE_string("only", "", "Only trials whose name holds this.")


def main(argv: Sequence[str]) -> int:
    """Entry point; exits with 1 where no trial was found."""
    del argv
    enable_compile_cache()
    folder, results = pathlib.Path(flags.FLAGS.data), {}
    for trial in TRIALS:
        if not (folder / trial.markers).is_file() or flags.FLAGS.only not in trial.name:
            continue
        results[trial.name] = measure(trial, folder)
        print(trial.name)
        for what, numbers in results[trial.name].items():
            print(f"  {what:18s} " + "   ".join(f"{name} {value:6.3f}" for name, value in numbers.items()))
    if not results:
        print(f"measure_forces: --data={folder}: none of the trials is there", file=sys.stderr)
        return 1
    with atomic_write(pathlib.Path(flags.FLAGS.out) / "forces.json") as file:
        json.dump({"trials": results, "environment": describe()}, file, indent=1)
    return 0


if __name__ == "__main__":
    define_flags()
    launch(main)
