"""Recover motion from a video and score its physics; see configs/video.py for the settings.

    python -m experiments.recover_motion --config=configs/video.py --config.video=dance.mp4

Exit code: 0 everything was recovered; 1 some of it could not be (each named with the reason on stderr); 2 nothing to
do, or a configuration that makes no sense.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict

from mjxhuman.options import BodyOptions, ReadOptions, VideoOptions, keywords, record_of, spelt
from mjxhuman.runs import atomic_write, json_line, prepare_jax, progress

from .launch import launch, named_motions

NOTHING_TO_DO = 2


def recover(config: config_dict.ConfigDict, path: Path) -> Iterator[Any]:
    """What is recovered from one file, of one person or of all; a ``ValueError`` in place of who cannot be."""
    from mjxhuman.recovery import load

    everyone = config.person == "all"
    options = record_of(VideoOptions, config)
    body, reading = load.body_of(record_of(BodyOptions, config)), keywords(ReadOptions, config)
    if everyone:
        yield from load.recover_all(path, body, options=dataclasses.replace(options, person="largest"), **reading)
    else:
        yield load.recover(path, body, options=options, **reading)


def record(found: Any, scores: Any) -> dict[str, Any]:
    """What is written about one person."""
    import numpy as np

    motion, fit = found.motion, found.recovery
    result = {
        "path": str(found.path),
        "encoder": found.encoding.encoder,
        "frames": motion.num_frames,
        "fps": motion.fps,
        "valid_frames": int(np.sum(np.asarray(motion.valid))),
        "valid": bool(np.asarray(scores.valid)),
        "total": float(np.asarray(scores.total)),
        "axes": {name: float(np.asarray(value)) for name, value in scores.axes.items()},
        "reason": str(scores.reason),
        "stature": motion.humanoid.stature,
        "conventions": motion.provenance.conventions,
        "retarget": motion.provenance.retarget,
    }
    if fit is not None and np.isfinite(fit.reprojection).any():
        result["reprojection_px"] = float(np.nanmedian(fit.reprojection))
    return result


def conclude(found: Any, name: str, out: Path) -> Any:
    """Write one person's motion and record; returns the clip for the report."""
    import mjxhuman
    from mjxhuman.cli.convert import qpos_motion
    from mjxhuman.data.npz import save_motion
    from mjxhuman.report.film import film_of
    from mjxhuman.report.pack import ClipReport

    scores = mjxhuman.score(found.motion)
    save_motion(out / f"{name}.npz", qpos_motion(found.motion))
    line = json_line(record(found, scores))
    with atomic_write(out / f"{name}.jsonl") as file:
        file.write(line + "\n")
    print(line)
    film = film_of(found) if found.is_video else None
    return ClipReport(name, scores, found.motion, mjxhuman.analyse(found.motion), film=film)


def failed(who: str, error: Exception, path: Path) -> tuple[str, str]:
    """Say what could not be recovered and why; returns both for the report."""
    reason = str(error).removeprefix(f"{path}: ")
    print(f"recover_motion: {who}: {reason}", file=sys.stderr)
    return who, reason


def run(config: config_dict.ConfigDict) -> int:
    """Recover what the configuration names; returns the exit code."""
    try:
        if not config.video:
            raise ValueError("video: expected files or patterns, found none (--config.video=FILE)")
        paths = named_motions(config.video)
    except (ValueError, OSError) as error:
        print(f"recover_motion: {spelt(str(error), '--config.{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    prepare_jax()
    from mjxhuman.report.page import write_report

    out, clips, failures = Path(config.out), [], []
    out.mkdir(parents=True, exist_ok=True)
    with progress(len(paths), unit="file", label="recover") as bar:
        for path in paths:
            try:
                for number, found in enumerate(recover(config, path)):
                    if isinstance(found, ValueError):
                        failures.append(failed(f"{path}, person {number}", found, path))
                    else:
                        clips.append(conclude(found, f"{path.stem}_{number}", out))
            except (ValueError, OSError, ImportError, RuntimeError) as error:
                failures.append(failed(str(path), error, path))
            bar.update()
    write_report(out / "report.html", clips, failures=failures, title="Recovered motion")
    print(f"report: {out / 'report.html'}")
    return 1 if failures else 0


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"recover_motion: unexpected arguments {argv[1:]}; name files by --config.video=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "video")
