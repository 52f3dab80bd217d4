"""How far the lifter is from the truth, alone and inside the whole-clip fit, beside the fit without it.

    python -m experiments.measure_lifter --clips='mocap/**/*.amc' --held_out=07_05,131_04 --trial=pose2sim

Clips that were held out of training are seen by simulated cameras with simulated detections; a trial as Pose2Sim leaves
it is measured against its filtered triangulation, each camera by itself. Errors are mean distances of the joints of
``experiments.recovery_trial`` relative to the middle of the hips. Written is ``lifter.json``; the last line on stdout
holds its means.

Exit code: 0; 2 nothing to do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from mjxhuman.runs import atomic_write, describe, json_line, prepare_jax, progress
from mjxhuman.types import Camera, Keypoints

from .launch import launch, named_motions

NOTHING_TO_DO = 2


class Seen(NamedTuple):
    """One person seen by one camera; T frames."""

    name: str
    keypoints: Keypoints
    camera: Camera
    truth: np.ndarray  # (T, J, 3) m, ``JOINTS``
    known: np.ndarray  # (T,) bool


def recorded(paths: Sequence[Path], views: int, frames: int, noise: str) -> Iterator[Seen]:
    """Recorded clips at 30 Hz, the middle of each, by simulated cameras: standing, panning and walking in turns."""
    from mjxhuman.encoders import synthetic, viewpoints
    from mjxhuman.physics.motion import resample
    from mjxhuman.retarget.chain import chain_of
    from mjxhuman.retarget.landmarks import keypoint_set

    from .lifter_clips import RATE, read
    from .recovery_trial import JOINTS

    for number, motion in enumerate(read(paths)):
        motion = motion if abs(motion.fps - RATE) < 0.01 else resample(motion, RATE)
        first = max(0, (motion.num_frames - frames) // 2)
        motion = jax.tree.map(lambda x, first=first: np.asarray(x)[first : first + frames], motion)
        truth = synthetic.places(motion, keypoint_set(JOINTS, chain_of(motion.humanoid)))
        for view in range(views):
            seed = 100 * number + view
            camera = viewpoints.film(motion, seed, viewpoints.KINDS[view % 3])
            keypoints = synthetic.detect(motion, camera, noise=noise, seed=seed)
            yield Seen(f"{paths[number].stem} {view}", keypoints, camera, truth, np.asarray(motion.valid))


def filmed(folder: Path) -> Iterator[Seen]:
    """The cameras of a trial with the detections that lie beside it."""
    from .recovery_trial import read_trial

    trial = read_trial(folder)
    for view, label in enumerate(trial.labels):
        yield Seen(label, trial.keypoints((view,)), trial.camera((view,)), trial.truth, trial.known)


def measure(seen: Seen, lifter: Any, fits: bool) -> dict[str, float]:
    """Errors in mm of the lifter and, where asked for, of the fit without and with it."""
    from mjxhuman.encoders.lifter_network import POINTS
    from mjxhuman.humanoids import load_humanoid
    from mjxhuman.recovery.lifted import lifted_residual
    from mjxhuman.recovery.recover import recover_with_report
    from mjxhuman.retarget.chain import chain_of
    from mjxhuman.tracking import metrics

    from .recovery_cases import columns
    from .recovery_trial import HIPS, JOINTS

    def off(name: str, points: np.ndarray, valid: np.ndarray) -> dict[str, float]:
        kept = valid & seen.known
        p, q = points[kept], seen.truth[kept]
        return {
            name: float(metrics.mpjpe(p, q, HIPS).mean()),
            f"{name}_procrustes": float(metrics.pa_mpjpe(p, q).mean()),
        }

    _, lifted = lifter(seen.keypoints, seen.camera)
    found = off("lifter", np.asarray(lifted.points, float)[:, [POINTS.index(name) for name in JOINTS]], lifted.valid)
    body = chain_of(load_humanoid("smpl"))
    for name, residuals in (("fit", []), ("both", [lifted_residual(lifted, body)])) if fits else ():
        motion, report = recover_with_report(seen.keypoints, seen.camera, ground="none", residuals=residuals)
        found |= off(name, columns(report.points, report.names), np.asarray(motion.valid))
    return found


def define_flags() -> None:
    """The command line."""
    flags.DEFINE_string("weights", "bidirectional", "One of the shipped sets, or a file.")
    flags.DEFINE_string("clips", "", "Files, folders or globs of recorded motion, separated by commas.")
    flags.DEFINE_string("held_out", "", "Beginnings of names of those that are measured; empty: all.")
    flags.DEFINE_string("trial", "", "Folder of a trial of Pose2Sim; empty for none.")
    flags.DEFINE_string("out", "out/lifter", "Folder for results.")
    flags.DEFINE_integer("views", 4, "Simulated cameras for each clip.")
    flags.DEFINE_integer("frames", 150, "Most frames of a clip, at 30 Hz.")
    flags.DEFINE_string("noise", "detector", "Of the simulated detections.")
    flags.DEFINE_bool("fits", True, "Measure the whole-clip fit as well, which takes 10 s each.")


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    del argv
    given = flags.FLAGS
    prepare_jax()
    from mjxhuman.encoders.lifter import load_lifter

    from .lifter_clips import split

    try:
        lifter = load_lifter(given.weights)
        paths = named_motions(given.clips) if given.clips else []
        if names := [name for name in given.held_out.split(",") if name]:
            paths = split(paths, names)[1]
        cases = list(recorded(paths, given.views, given.frames, given.noise))
        cases += list(filmed(Path(given.trial))) if given.trial else []
    except (ValueError, OSError) as error:
        print(f"measure_lifter: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    if not cases:
        print("measure_lifter: expected --clips or --trial, found neither", file=sys.stderr)
        return NOTHING_TO_DO
    rows = []
    with progress(len(cases), unit="case", label="measure") as bar:
        for seen in cases:
            rows.append({"name": seen.name, **measure(seen, lifter, given.fits)})
            print(json_line(rows[-1]), flush=True)
            bar.update()
    parts = {"clips": rows[: len(paths) * given.views], "trial": rows[len(paths) * given.views :]}
    means = {
        part: {key: float(np.mean([row[key] for row in some])) for key in some[0] if key != "name"}
        for part, some in parts.items() if some
    }  # fmt: skip
    with atomic_write(Path(given.out) / "lifter.json") as file:
        file.write(json_line({**means, "cases": rows, "environment": describe()}) + "\n")
    print(json_line(means))
    return 0


if __name__ == "__main__":
    define_flags()
    launch(main)
