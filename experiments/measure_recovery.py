"""How far recovered motion is from a triangulation by several calibrated cameras; in numbers, tables and pictures.

    python -m experiments.measure_recovery --trial=pose2sim --out=out/recovery

The trial is a folder as Pose2Sim leaves it (``experiments.recovery_trial``). Tried are: the given 2D detections of
each camera alone, of pairs and of all cameras, as they are and damaged; each camera alone as if nobody had calibrated
it; and an encoder on the videos there are, its own 3D landmarks beside our fits to its points. Written are
``recovery.json``, ``recovery.md`` and pictures (with matplotlib, of the extra ``dev``). A fit that is finished is kept
in ``fits`` and done again only when its data or the code changed. About five minutes on two CPU cores.

Exit code: 0; 1 some cases could not be done (each named with the reason on stderr); 2 nothing to do.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.runs import atomic_write, describe, json_line, prepare_jax, progress
from mjxhuman.runs.environment import cpu_count

from .launch import launch

NOTHING_TO_DO = 2


def choose_views(trial: Any, named: Sequence[str]) -> list[tuple[str, ...]]:
    """Labels of cameras for each try: ``named`` as in "cam01+cam02", by default each alone, two pairs, and all.

    Raises:
      ValueError: no such camera.
    """
    if not named:
        alone = [(label,) for label in trial.labels]
        pairs = [(trial.labels[i], trial.labels[j]) for i, j in trial.default_pairs()]
        return list(dict.fromkeys([*alone, *pairs, trial.labels]))
    views = [tuple(text.split("+")) for text in named]
    unknown = sorted({label for chosen in views for label in chosen} - set(trial.labels))
    if unknown:
        raise ValueError(f"views: found {', '.join(unknown)}, expected some of {', '.join(trial.labels)}")
    return views


def run(
    folder: str | Path,
    out: str | Path,
    *,
    views: Sequence[str] = (),
    damages: Sequence[str] = (),
    encoders: Sequence[str] = ("blazepose",),
    pictures: bool = True,
) -> int:
    """Measure everything and write it; returns the exit code.

    Args:
      folder: of the trial. out: for results.
      views: as ``choose_views``. damages: keys of ``DAMAGES``, all by default. encoders: names, for the videos.
      pictures: draw them.
    """
    from . import recovery_cases, recovery_tables
    from .recovery_trial import DAMAGES, JOINTS, read_trial

    try:
        trial = read_trial(Path(folder))
        if unknown := set(damages) - set(DAMAGES):
            raise ValueError(f"damages: found {', '.join(sorted(unknown))}, expected some of {', '.join(DAMAGES)}")
        chosen = choose_views(trial, views)
    except (ValueError, OSError) as error:
        print(f"measure_recovery: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    out = Path(out)
    cases = recovery_cases.list_cases(trial, chosen, list(damages) or list(DAMAGES), list(encoders))
    rows, found, failures, environment = [], {}, {}, describe()
    start = time.perf_counter()
    workers = concurrent.futures.ThreadPoolExecutor(cpu_count())
    with workers, progress(len(cases), unit="case", label="measure") as bar:
        tries = {case: workers.submit(recovery_cases.attempt, trial, case, out / "fits") for case in cases}
        for case, one in tries.items():
            try:
                found[case] = one.result()
                rows.append((case, recovery_cases.measure(trial, case, found[case])))
            except (ValueError, OSError, ImportError, RuntimeError) as error:
                failures[case.label] = str(error)
                bar.write(f"measure_recovery: {case.label}: {error}", file=sys.stderr)
            bar.update()
    baseline = _baseline(trial, chosen[0])
    about = (
        f"Trial {trial.folder.name}: {len(trial.truth)} frames at {trial.fps:g} Hz, cameras {', '.join(trial.labels)}."
    )
    text = recovery_tables.document(rows, baseline, len(JOINTS), about)
    said = recovery_tables.beaten(rows)
    if said:
        text += "\n## Fits and the encoder's own 3D\n\n" + "".join(f"- {sentence}\n" for sentence in said)
    print(text)
    with atomic_write(out / "recovery.md") as file:
        file.write(text)
    summary = {
        "trial": str(trial.folder),
        "frames": len(trial.truth),
        "fps": trial.fps,
        "cases": [{**dataclasses.asdict(case), **values} for case, values in rows],
        "triangulation": baseline,
        "failures": failures,
        "seconds": time.perf_counter() - start,
        "environment": environment,
    }
    with atomic_write(out / "recovery.json") as file:
        file.write(json_line(summary) + "\n")
    if pictures:
        from . import recovery_pictures

        for path in recovery_pictures.draw_all(trial, rows, found, out):
            print(f"picture: {path}")
    return 1 if failures else 0


def _baseline(trial: Any, views: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What the triangulation itself measures: filtered against itself, and unfiltered against filtered."""
    from .recovery_cases import Case, measure, triangulated

    given = {"triangulation": trial.truth}
    if trial.unfiltered is not None:
        given["triangulation, unfiltered"] = trial.unfiltered
    result = {name: measure(trial, Case(views), triangulated(trial, points)) for name, points in given.items()}
    for values in result.values():
        values["seconds"] = float(np.nan)
    return result


def define_flags() -> None:
    """The command line; not at import, so that several experiments can be loaded side by side."""
    flags.DEFINE_string("trial", None, "Folder of a trial of Pose2Sim, or of a project with one trial.", required=True)
    flags.DEFINE_string("out", "out/recovery", "Folder for results.")
    flags.DEFINE_list("views", [], "Cameras of each try, as in cam01,cam01+cam02; each, two pairs and all by default.")
    flags.DEFINE_list("damages", [], "Kinds of damage (recovery_trial.DAMAGES); all by default.")
    flags.DEFINE_list("encoders", ["blazepose"], "Encoders for the videos, NAME or NAME:MODEL; empty for none.")
    flags.DEFINE_bool("pictures", True, "Draw pictures, which takes matplotlib.")


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    del argv
    given = flags.FLAGS
    if given.pictures:
        try:
            import matplotlib  # noqa: F401  before minutes of work
        except ImportError:
            print("measure_recovery: pictures take matplotlib (extra 'dev'), or --nopictures", file=sys.stderr)
            return NOTHING_TO_DO
    prepare_jax()
    return run(
        given.trial, given.out, views=given.views, damages=given.damages, encoders=given.encoders,
        pictures=given.pictures,
    )  # fmt: skip


if __name__ == "__main__":
    define_flags()
    launch(main)
