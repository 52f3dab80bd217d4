"""How far a simulated body is from what cameras triangulated of the person it follows, beside the fit it follows.

    python -m experiments.measure_reconstruction --trial=pose2sim --out=out/reconstruction --encoders=blazepose:heavy

The trial is a folder as Pose2Sim leaves it (``experiments.recovery_trial``). Each camera alone, and all together: the
given 2D detections, and with ``--encoders`` what an encoder sees in the videos. Written is ``reconstruction.json``; the
table is printed. All at 30 Hz, means over the frames that are valid in the simulation.

Exit code: 0; 1 some cases could not be done (each named with the reason on stderr); 2 nothing to do.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.runs import atomic_write, json_line, prepare_jax

from .launch import launch
from .measure_recovery import choose_views

NOTHING_TO_DO = 2
#: Heading of the columns, and the numbers of fit and simulation beside each other.
#: Options of the methods.
TAKES = {
    "fit": (), "plan": ("preset",), "track": ("policy",), "policy": ("policy",), "policy+plan": ("preset", "policy"),
}  # fmt: skip
_COLUMNS = {
    "root-relative mm": "root_mm", "Procrustes mm": "procrustes_mm", "global mm": "global_mm",
    "standing foot mm/frame": "slide_mm", "jitter": "jitter", "reprojection px": "reprojection_px",
}  # fmt: skip


def measure(result: Any, trial: Any, calibrated: bool) -> dict[str, dict[str, float]]:
    """Errors of fit and simulation against the triangulation."""
    from mjxhuman.reconstruction import measure as measured
    from mjxhuman.tracking import metrics

    from .recovery_cases import columns
    from .recovery_trial import HIPS, JOINTS

    sight, fps = result.source.sight, result.motion.fps
    times = np.arange(result.motion.num_frames) * trial.fps / fps
    rows = np.minimum(np.rint(times).astype(int), len(trial.truth) - 1)
    known = np.asarray(result.motion.valid) & trial.known[rows]
    truth = trial.truth[rows][known]
    feet = [JOINTS.index(side + point) for side in "LR" for point in ("Heel", "BigToe")]
    found = {}
    for name, motion in (("fit", result.estimate), ("simulated", result.motion)):
        points = columns(measured.points_seen(sight, motion), sight.names)[known]
        # the ground step moves the world up or down, and without a camera its heading is anyone's
        placed = metrics.heading_aligned(points, truth)
        found[name] = {
            "root_mm": metrics.mpjpe(points if calibrated else placed, truth, HIPS).mean(),
            "procrustes_mm": metrics.pa_mpjpe(points, truth).mean(), "global_mm": metrics.mpjpe(placed, truth).mean(),
            "slide_mm": metrics.foot_sliding(points[:, feet], truth[:, feet]).mean(),
            "jitter": metrics.jitter(points, fps).mean(),
            "reprojection_px": np.nanmean(measured.reprojection(sight, motion)[known]),
        }  # fmt: skip
        found[name] = {key: round(float(value), 2) for key, value in found[name].items()}
    found["truth"] = {"jitter": round(float(metrics.jitter(truth, fps).mean()), 2)}
    return found


def run(
    folder: str | Path, out: str | Path, *, views: Sequence[str] = (), encoders: Sequence[str] = (),
    method: str = "plan", preset: str = "default", policy: str = "", seed: int = 0, calibrated: bool = True,
) -> int:  # fmt: skip
    """Measure everything and print it; returns the exit code.

    Args:
      folder: of the trial. out: for results.
      views: as ``measure_recovery.choose_views``. encoders: names, for the videos.
      method, preset, policy, seed: of ``mjxhuman.reconstruct``; "" for the shipped policy.
      calibrated: whether cameras are given.
    """
    import mjxhuman
    from mjxhuman.reconstruction.methods import method_of

    from .recovery_cases import FLAT, Case, inputs
    from .recovery_trial import read_trial

    try:
        trial = read_trial(Path(folder))
        chosen = choose_views(trial, views)
        options = {name: value for name, value in (("preset", preset), ("policy", policy)) if name in TAKES[method]}
        mover = method_of(method, **{name: value for name, value in options.items() if value})
    except (ValueError, OSError) as error:
        print(f"measure_reconstruction: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    cases = [Case(one, calibrated=calibrated) for one in chosen if calibrated or len(one) == 1]
    cases += [Case(one, encoder, FLAT, calibrated=calibrated) for encoder in encoders for one in chosen
              if len(one) == 1 and one[0] in trial.videos]  # fmt: skip
    rows, failures = [], 0
    print(_line(["points", *_COLUMNS, "fell"]) + "\n" + _line(["---"] * (len(_COLUMNS) + 2)))
    for case in cases:
        try:
            keypoints, _, camera = inputs(trial, case)
            result = mjxhuman.reconstruct(keypoints, camera if calibrated else None, method=mover or "fit", seed=seed)
            numbers = measure(result, trial, calibrated)
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            print(f"measure_reconstruction: {case.label}: {error}", file=sys.stderr)
            failures += 1
            continue
        rows.append({**dataclasses.asdict(case), **numbers, "result": result.numbers})
        both = [[f"{numbers[which][key]:.3g}" for which in ("fit", "simulated")] for key in _COLUMNS.values()]
        cells = [" / ".join(pair) for pair in both]
        print(
            _line([f"{case.source}, {' + '.join(case.views)}", *cells, "no" if result.success else "yes"]), flush=True
        )
    summary = {"trial": str(trial.folder), "method": method, **options, "seed": seed, "cases": rows}
    with atomic_write(Path(out) / "reconstruction.json") as file:
        file.write(json_line(summary) + "\n")
    if rows:
        print(f"\nfit / simulated; jitter of the triangulation {rows[0]['truth']['jitter']:.3g}")
    return 1 if failures else 0


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def define_flags() -> None:
    """The command line; not at import, so that several experiments can be loaded side by side."""
    flags.DEFINE_string("trial", None, "Folder of a trial of Pose2Sim, or of a project with one trial.", required=True)
    flags.DEFINE_string("out", "out/reconstruction", "Folder for results.")
    flags.DEFINE_list("views", [], "Cameras of each try, as in cam01,cam01+cam02; each, two pairs and all by default.")
    flags.DEFINE_list("encoders", [], "Encoders for the videos, NAME or NAME:MODEL.")
    flags.DEFINE_enum("method", "plan", sorted(TAKES), "Of mjxhuman.reconstruct.")
    flags.DEFINE_string("policy", "", "File of a policy; empty: the shipped one of the method.")
    flags.DEFINE_string("preset", "default", "Of the planner.")
    flags.DEFINE_integer("seed", 0, "Of the planner.")
    flags.DEFINE_bool("calibrated", True, "Whether the cameras are given.")


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    del argv
    given = flags.FLAGS
    prepare_jax()
    return run(
        given.trial, given.out, views=given.views, encoders=given.encoders, method=given.method,
        preset=given.preset, policy=given.policy, seed=given.seed, calibrated=given.calibrated,
    )  # fmt: skip


if __name__ == "__main__":
    define_flags()
    launch(main)
