"""The table of power spectra that ``mjxhuman.rewards.validation.spectrum`` compares clips with, and what filters do.

    python -m experiments.measure_spectrum --motions='mocap/**/*.amc' --source='CMU' --table=spectrum.json

Reads recorded clips, writes percentiles of the power of each band over clips, and prints how many copies of them,
smoothed by a Gaussian of 0.05, 0.1 and 0.2 s in time, have less power in the fastest band than 95 % of the clips.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags
from scipy.ndimage import gaussian_filter1d

from mjxhuman.runs import atomic_write, enable_compile_cache, progress

from .launch import launch, named_motions

_MOTIONS = flags.DEFINE_string("motions", None, "Comma-separated globs of recorded motion files.", required=True)
_SOURCE = flags.DEFINE_string("source", "", "Name of the clips' source, for the table.")
_TABLE = flags.DEFINE_string("table", "out/spectrum.json", "File to write.")
_LONGEST = flags.DEFINE_float("longest", 10.0, "Seconds of each clip that are used.")

SECONDS = (0.05, 0.1, 0.2)


def smoothed(motion, seconds: float):
    """The motion with positions and rotations smoothed in time."""
    import mjxhuman

    qpos = np.array(motion.qpos, np.float64)
    for start in range(3, qpos.shape[1], 4):  # neighbouring quaternions on one side
        quat = qpos[:, start : start + 4]
        quat[1:] *= np.cumprod(np.where((quat[1:] * quat[:-1]).sum(1) < 0, -1, 1))[:, None]
    return mjxhuman.motion_from_qpos(
        motion.humanoid, gaussian_filter1d(qpos, seconds * motion.fps, axis=0, mode="nearest"), motion.fps
    )


def main(argv: Sequence[str]) -> int:
    """Entry point; 1 where no clip can be used."""
    del argv
    enable_compile_cache()
    import mjxhuman
    from mjxhuman.rewards.validation import spectrum

    rows: list[dict] = []
    filtered: dict[float, list[dict]] = {seconds: [] for seconds in SECONDS}
    names = named_motions(_MOTIONS.value)
    with progress(len(names), unit="file", label="spectrum") as bar:
        for path in names:
            motion = mjxhuman.load_motion(path)
            bar.update(1)
            most = int(_LONGEST.value * motion.fps)
            motion = mjxhuman.motion_from_qpos(motion.humanoid, np.asarray(motion.qpos)[:most], motion.fps)
            if not (found := spectrum.levels(motion)):
                continue
            rows.append(found)
            for seconds, others in filtered.items():
                others.append(spectrum.levels(smoothed(motion, seconds)))
    if not rows:
        print(f"measure_spectrum: --motions={_MOTIONS.value}: no clip of {spectrum.WINDOW} s", file=sys.stderr)
        return 1
    table: dict[str, Any] = {
        "source": _SOURCE.value,
        "clips": len(rows),
        "percentiles": spectrum.PERCENTILES,
        "bands": [],
    }
    for band in spectrum.BANDS:
        values = [row[band] for row in rows if band in row]
        if not values:
            continue
        found = np.percentile(values, spectrum.PERCENTILES)
        table["bands"].append({"low": band[0], "high": band[1], "values": [round(float(x), 2) for x in found]})
        low = np.percentile(values, spectrum.SMOOTHER)
        shares = {s: np.mean([x[band] < low for x in f if band in x]) for s, f in filtered.items()}
        print(f"{band[0]:g}-{band[1]:g} Hz, {len(values)} clips: smoother than 95 % of the clips:",
              ", ".join(f"after {s:g} s {share:.0%}" for s, share in shares.items()))  # fmt: skip
    with atomic_write(_TABLE.value) as file:
        json.dump(table, file, indent=1)
        file.write("\n")
    return 0


if __name__ == "__main__":
    launch(main)
