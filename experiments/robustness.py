"""How much scores depend on what should not matter: frame rate and measurement noise; and the clean reference table.

    python -m experiments.robustness --motions='mocap/**/*.bvh' --out=out/robustness
    python -m experiments.robustness --motions='...' --sources='CMU; Bandai Namco' \\
        --reference=mjxhuman/rewards/reference.json

For every clip: the change of each score when the clip is resampled to 24, 30, 60 and 120 Hz, and its spread under white
noise of 1, 2 and 3 mm on the root with 1 degree on every joint (8 draws each). Prints medians and 95th percentiles over
clips and writes ``robustness.json``. ``--reference`` also writes the percentile table of the clips as they are.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags
from scipy.spatial.transform import Rotation

from mjxhuman.runs import atomic_write, describe, enable_compile_cache, progress

from .launch import launch, named_motions

_MOTIONS = flags.DEFINE_string("motions", None, "Comma-separated globs of clean motion files.", required=True)
_OUT = flags.DEFINE_string("out", "out/robustness", "Folder for results.")
_REFERENCE = flags.DEFINE_string("reference", "", "Write the percentile table of the clips to this file.")
_SOURCES = flags.DEFINE_string("sources", "", "Names of the clips' sources, for the table; semicolons between.")

RATES = (24.0, 30.0, 60.0, 120.0)
NOISE_MM = (1.0, 2.0, 3.0)
DRAWS = 8


def values(scores) -> dict[str, float]:
    """Total, axes and sub-scores of one clip."""
    from mjxhuman.rewards.score import ERROR_UNITS

    names = {k: v for k, v in scores.terms.items() if k in ERROR_UNITS}
    return {k: float(v) for k, v in {"total": scores.total, **scores.axes, **names}.items()}


def noisy(motion, millimetres: float, rng: np.random.Generator):
    """The motion with white noise on the root position, and one degree on every rotation."""
    import mjxhuman
    from mjxhuman.physics.coordinates import coordinates

    coords = coordinates(motion.humanoid.model)
    qpos = np.asarray(motion.qpos, np.float64)
    scalars = np.asarray(coords.scalars(qpos), np.float64)
    quats = np.asarray(coords.quats(qpos), np.float64)
    turn = Rotation.from_rotvec(rng.normal(size=(quats[..., 0].size, 3)) * np.deg2rad(1.0))
    turned = Rotation.from_quat(quats.reshape(-1, 4), scalar_first=True) * turn
    noise = rng.normal(size=scalars.shape) * millimetres * 1e-3
    joined = coords.join(turned.as_quat(scalar_first=True).reshape(quats.shape), scalars + noise)
    return mjxhuman.motion_from_qpos(motion.humanoid, joined, motion.fps, valid=motion.valid)


def study(motion) -> dict:
    """Clean scores of one clip, their change per frame rate and their change under noise."""
    import mjxhuman

    base = values(mjxhuman.score(motion))
    rates = {}
    for fps in RATES:
        moved = values(mjxhuman.score(mjxhuman.resample(motion, fps)))
        rates[f"{fps:g}"] = {k: moved[k] - base[k] for k in base}
    noise = {}
    for size in NOISE_MM:
        draws = [values(mjxhuman.score(noisy(motion, size, np.random.default_rng(k)))) for k in range(DRAWS)]
        noise[f"{size:g}"] = {
            k: {
                "shift": float(np.mean([d[k] for d in draws]) - base[k]),
                "spread": float(np.std([d[k] for d in draws])),
            }
            for k in base
        }
    return {"scores": base, "rates": rates, "noise": noise}


def report(clips: dict[str, dict]) -> dict:
    """Print and return medians and 95th percentiles over clips."""
    summary: dict = {"rates": {}, "noise": {}}
    print(f"{'total: change when resampled to':<36}{'median':>9}{'95 %':>9}{'worst':>9}")
    for fps in RATES:
        moves = np.abs([c["rates"][f"{fps:g}"]["total"] for c in clips.values()])
        row = [float(np.median(moves)), float(np.percentile(moves, 95)), float(moves.max())]
        summary["rates"][f"{fps:g}"] = row
        print(f"{fps:>30g} Hz   {row[0]:>9.3f}{row[1]:>9.3f}{row[2]:>9.3f}")
    print(f"{'total: noise of 1 degree and':<36}{'shift':>9}{'spread':>9}")
    for size in NOISE_MM:
        shift = float(np.median([c["noise"][f"{size:g}"]["total"]["shift"] for c in clips.values()]))
        spread = float(np.median([c["noise"][f"{size:g}"]["total"]["spread"] for c in clips.values()]))
        summary["noise"][f"{size:g}"] = {"shift": shift, "spread": spread}
        print(f"{size:>30g} mm   {shift:>9.3f}{spread:>9.3f}")
    return summary


def reference(clips: dict[str, dict], sources: str) -> dict:
    """The percentile table of ``mjxhuman.rewards.validation.reference``."""
    from mjxhuman.rewards.validation.reference import PERCENTILES

    names = next(iter(clips.values()))["scores"]
    return {
        "sources": [s.strip() for s in sources.split(";") if s.strip()],
        "clips": len(clips),
        "percentiles": list(PERCENTILES),
        "values": {
            k: [round(float(np.percentile([c["scores"][k] for c in clips.values()], p)), 4) for p in PERCENTILES]
            for k in names
        },
    }


def main(argv: Sequence[str]) -> None:
    """Entry point; exits with 1 if any file could not be used, 2 if there is nothing to do."""
    del argv
    import mjxhuman

    enable_compile_cache()
    paths = named_motions(_MOTIONS.value)
    clips: dict[str, dict] = {}
    failed = []
    with progress(len(paths), unit="clip") as bar:
        for path in paths:
            try:
                clips[str(path)] = study(mjxhuman.load_motion(path))
            except (ValueError, OSError) as error:
                failed.append(str(path))
                bar.write(f"robustness: {path}: {error}", file=sys.stderr)
            bar.update()
    if not clips:
        print(f"robustness: --motions={_MOTIONS.value!r} gave no clip", file=sys.stderr)
        sys.exit(2)
    summary = {"summary": report(clips), "clips": clips, "failed": failed, "environment": describe()}
    out = pathlib.Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / "robustness.json") as file:
        json.dump(summary, file, indent=1)
    if _REFERENCE.value:
        with atomic_write(_REFERENCE.value) as file:
            json.dump(reference(clips, _SOURCES.value), file, indent=1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    launch(main)
