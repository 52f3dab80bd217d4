"""How well bodies do what simulated videos of recorded motion show, by several methods side by side.

    python -m experiments.benchmark_vision --clips='mocap/**/*.amc' --policy=out/vision --out=out/benchmark_vision
    python -m experiments.benchmark_vision --clips=mocap --held_out=07_05,131 --methods=fit,fit+track,policy,zero

    python -m experiments.benchmark_vision --benchmark=emdb --data=EMDB --detections=out/keypoints --methods=fit,policy

Each clip is filmed by ``--cameras`` simulated cameras, with detections of the kind ``--noise`` (``--seed`` fixes both).
``truth`` is the recorded motion itself, ``fit`` the whole-clip fit, ``fit+track`` the tracker ``--expert`` that follows
it, ``fit+plan`` the planner that does, ``policy`` a policy of ``experiments.train_vision``, ``policy+plan`` that one
with the planner where it loses the body, ``zero`` servos that hold the T-pose. All start in the fit's first state;
errors are against the recorded motion, on joints of the built-in body. With ``--benchmark`` the videos are those of a
published set in the folder ``--data`` (``mjxhuman.data.benchmarks``: emdb, aistpp, rich) instead, with its own
detections or those of ``--detections``, in stretches of ``--seconds``.

Means are over ALL clips, what is lost with the errors it has; ``conditional`` has those over successes. Success: the
mean distance of 20 bodies never exceeds 0.5 m (PHC). Intervals hold 95 % of 1000 bootstrap samples over clips.
``released`` has what PhysHMR's release calls its metrics (``tracking.released_metrics``). Written
is ``benchmark_vision.json``; the last line on stdout is one JSON object without the cases.

Exit code: 0; 1 some files could not be loaded or filmed (named on stderr); 2 nothing to do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.data.benchmarks import SETS, recordings
from mjxhuman.runs import atomic_write, describe, json_line, prepare_jax

from .launch import launch, named_motions
from .vision_clips import filmed, usable_clips
from .vision_methods import METHODS, Video, movers
from .vision_recordings import videos_of

NOTHING_TO_DO = 2
#: Kinds of simulated videos: cameras in turns, and a preset of noise.
KINDS = {
    "clean": (("standing",), "clean"), "detector": (("standing",), "detector"),
    "blazepose": (("standing",), "blazepose"), "occluded": (("standing",), "occluded"),
    "moving": (("panning", "walking"), "detector"),
}  # fmt: skip
#: Names and headings of what is measured; a method's row has the mean of each.
NUMBERS = {
    "mpjpe_mm": "root-relative mm", "pa_mpjpe_mm": "Procrustes mm", "global_mm": "global mm", "end_mm": "at the end mm",
    "along_mm": "root along the view mm", "across_mm": "across mm", "w_mpjpe_mm": "W", "wa_mpjpe_mm": "WA",
    "rte_percent": "RTE %", "jitter": "jitter", "foot_slide_mm": "standing foot mm/frame", "float_mm": "float mm",
    "penetration_mm": "penetration mm", "score": "feasibility",
}  # fmt: skip
_SAMPLES = 1000
#: s, longer than any clip.
_ALL = 1e6
#: Of all videos, the rate at which bodies are controlled.
FPS = 30.0


def measure(motion: Any, video: Video) -> dict[str, Any]:
    """Errors of what a method made of a video."""
    from mjxhuman.reconstruction import measure as measured
    from mjxhuman.tracking import metrics
    from mjxhuman.tracking.released_metrics import released

    truth, body = video.truth, video.truth.humanoid
    pos, ref = measured.bodies_of(motion), measured.bodies_of(truth)
    off = pos[:, 0] - ref[:, 0]
    ahead = ref[:, 0] - np.asarray(video.track.rays.origin, float)
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    along = (off * ahead).sum(-1)
    height = measured.lowest(motion)
    path = metrics.rte(pos[:, 0], ref[:, 0])
    feet = [measured.soles(m)[:, np.asarray(body.contacts.is_foot, bool)] for m in (motion, truth)]
    return {
        "success": metrics.first_failure(pos, ref, body.known.rows(body.known.evaluated)) is None,
        "mpjpe_mm": _mean(metrics.mpjpe(pos, ref, (0,))), "pa_mpjpe_mm": _mean(metrics.pa_mpjpe(pos, ref)),
        "global_mm": _mean(metrics.mpjpe(pos, ref)), "end_mm": _mean(metrics.mpjpe(pos[-1:], ref[-1:])),
        "along_mm": 1e3 * _mean(np.abs(along)),
        "across_mm": 1e3 * _mean(np.linalg.norm(off - along[:, None] * ahead, axis=-1)),
        "w_mpjpe_mm": _mean(metrics.w_mpjpe(pos, ref)), "wa_mpjpe_mm": _mean(metrics.wa_mpjpe(pos, ref)),
        "rte_percent": _mean(path), "jitter": _mean(metrics.jitter(pos, truth.fps)),
        "foot_slide_mm": _mean(measured.slide(motion, truth, np.ones(truth.num_frames, bool))),
        "float_mm": 1e3 * _mean(np.maximum(height, 0.0)), "penetration_mm": 1e3 * _mean(np.maximum(-height, 0.0)),
        "released": released(pos, ref, *feet),
    }  # fmt: skip


def feasibilities(motions: Sequence[Any]) -> list[float]:
    """Of motions of one body, ``motion_reward``; NaN where one cannot be scored."""
    from mjxhuman import motion_reward

    found = motion_reward(
        {"qpos": [np.asarray(m.qpos) for m in motions]}, [m.fps for m in motions], humanoid=motions[0].humanoid
    )
    return [float(x) for x in np.asarray(found.total)]


def _mean(x: np.ndarray) -> float:
    return float(np.mean(x)) if np.size(x) else float("nan")


def summarised(cases: Sequence[dict[str, Any]], seed: int = 0) -> dict[str, Any]:
    """Means of a method over all clips, over successes, and intervals of 95 %; views of a clip count together."""
    from mjxhuman.tracking.released_metrics import released_means

    clips = sorted({case["clip"] for case in cases})

    def by_clip(name: str, some: Sequence[dict[str, Any]]) -> np.ndarray:
        found = [[case[name] for case in some if case["clip"] == clip] for clip in clips]
        return np.array([np.nanmean(x) if x and np.isfinite(x).any() else np.nan for x in found], float)

    def mean(x: np.ndarray) -> float | None:
        return round(float(np.nanmean(x)), 3) if np.isfinite(x).any() else None

    drawn = np.random.default_rng(seed).integers(0, len(clips), (_SAMPLES, len(clips)))
    held = [case for case in cases if case["success"]]
    row: dict[str, Any] = {"conditional": {}, "interval": {}}
    for name in ("success", *NUMBERS):
        values = by_clip(name, cases)
        label = "success_rate" if name == "success" else name
        row[label] = mean(values)
        if np.isfinite(values).all():
            row["interval"][label] = [round(float(x), 3) for x in np.quantile(values[drawn].mean(1), [0.025, 0.975])]
        if name != "success":
            row["conditional"][name] = mean(by_clip(name, held))
    means = released_means([case["released"] for case in cases])
    row["released"] = {name: round(value, 3) if np.isfinite(value) else None for name, value in means.items()}
    return row


def define_flags() -> None:
    """The command line."""
    flags.DEFINE_enum(
        "benchmark", "synthetic", ["synthetic", *SETS], "Simulated videos of --clips, or a published set."
    )
    flags.DEFINE_string("data", "", "Folder of the published set.")
    flags.DEFINE_string("detections", "", "Folder with 2D keypoints NAME.* of its videos, of any format that is read.")
    flags.DEFINE_string("clips", "", "Files, folders or globs of recorded motion, separated by commas.")
    flags.DEFINE_string("held_out", "", "Beginnings of names of those that are measured; empty: all.")
    flags.DEFINE_string("policy", "", "File or run folder of experiments.train_vision; empty: the shipped one.")
    flags.DEFINE_string("expert", "", "Tracker of the method fit+track; empty: the shipped one.")
    flags.DEFINE_string("preset", "fast", "Of the planner.")
    flags.DEFINE_integer("tries", 1, "Of the policy: starts on each video while the body is lost.", lower_bound=1)
    flags.DEFINE_list("methods", ["fit", "fit+track", "zero"], f"Some of {', '.join(METHODS)}.")
    flags.DEFINE_enum("noise", "detector", sorted(KINDS), "Kind of the videos.")
    flags.DEFINE_integer("cameras", 4, "Videos of each clip.", lower_bound=1)
    flags.DEFINE_integer("seed", 1000, "Of cameras and noise; training takes those from 0.")
    flags.DEFINE_float("seconds", 100 / 30, "Of each clip from its start; of a set's videos, of each stretch; 0: all.")
    flags.DEFINE_string("out", "out/benchmark_vision", "Folder for results.")


def simulated_videos(given: Any, body: Any) -> tuple[list[Video], dict[int, str], int]:
    """The videos of clips, names of the clips, and how many files were left out.

    Raises:
        ValueError: no files, or none that can be filmed.
    """
    from mjxhuman.envs.clips import load_clips
    from mjxhuman.envs.vision.films import views

    from .lifter_clips import split

    paths = named_motions(given.clips) if given.clips else []
    if held := [name for name in given.held_out.split(",") if name]:
        paths = split(paths, held)[1]
    loaded = load_clips(paths, body)
    clips, names, failed = usable_clips(loaded, body, FPS, given.seconds or _ALL, "benchmark_vision")
    cameras, noise = KINDS[given.noise]
    tracks = filmed(clips, names, views(given.cameras, given.seed, cameras, (noise,)), "benchmark_vision")
    videos = [
        Video(k, v, clip, track)
        for k, (clip, some) in enumerate(zip(clips, tracks, strict=True))
        for v, track in enumerate(some or ())
    ]
    if not videos:
        raise ValueError("--clips: expected a motion that can be filmed, found none")
    return videos, {v.clip: Path(names[v.clip]).name for v in videos}, failed + tracks.count(None)


def recorded_videos(given: Any, body: Any) -> tuple[list[Video], dict[int, str], int]:
    """The same of a published set; a clip is a sequence.

    Raises:
        ValueError: as ``data.benchmarks.recordings``, or no video that can be used.
    """
    found, failed = videos_of(
        recordings(given.benchmark, Path(given.data)), body, FPS, given.seconds, given.detections, "benchmark_vision"
    )
    if not found:
        raise ValueError(
            f"--data: expected a recording of {given.benchmark} that can be used, found none in {given.data!r}"
        )
    names = sorted({name for name, *_ in found})
    videos = [Video(names.index(name), view, truth, track) for name, view, truth, track in found]
    return videos, dict(enumerate(names)), failed


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    del argv
    given = flags.FLAGS
    prepare_jax()
    from mjxhuman import load_humanoid

    try:
        chosen = movers(given)
        source = simulated_videos if given.benchmark == "synthetic" else recorded_videos
        videos, labels, failed = source(given, load_humanoid("smpl"))
    except (ValueError, OSError) as error:
        print(f"benchmark_vision: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    rows, cases = {}, []
    print("| method | success | " + " | ".join(NUMBERS.values()) + " |\n" + "| --- " * (len(NUMBERS) + 2) + "|")
    for name, move in chosen.items():
        moved = move(videos)
        found = [
            {"method": name, "clip": labels[v.clip], "view": v.view, **measure(motion, v), "score": score}
            for motion, v, score in zip(moved, videos, feasibilities(moved), strict=True)
        ]
        rows[name], cases = summarised(found), cases + found
        cells = [f"{rows[name]['success_rate']:.0%}", *(_cell(rows[name][key]) for key in NUMBERS)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    summary = {
        "benchmark": given.benchmark, "kind": given.noise if given.benchmark == "synthetic" else None,
        "clips": len(labels), "cameras": len({v.view for v in videos}), "videos": len(videos), "seed": given.seed,
        "tries": given.tries, "methods": rows,
    }  # fmt: skip
    with atomic_write(Path(given.out) / "benchmark_vision.json") as file:
        file.write(json_line({**summary, "cases": cases, "environment": describe()}) + "\n")
    print(json_line(summary))
    return 1 if failed else 0


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    define_flags()
    launch(main)
