"""``mjxhuman score``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mjxhuman.cli.reading import display_names, dynamics_of, film, input_files, output_folder
from mjxhuman.data.formats import suffixes_of
from mjxhuman.options import ScoreOptions, record_of, spelt
from mjxhuman.recovery.load import kind_of
from mjxhuman.report.advice import advice
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.page import MAX_DETAILS, write_report
from mjxhuman.report.table import difference_table, score_table, terminal
from mjxhuman.rewards.validation import reference, spectrum
from mjxhuman.runs import enable_compile_cache, json_line, progress
from mjxhuman.runs.terminal import printable
from mjxhuman.scenes import Surface
from mjxhuman.scenes.types import Scene
from mjxhuman.scoring.files import ScoredFile, score_files, scored, surface_of
from mjxhuman.types import Scores

#: Conventions of so many files are listed; more are in scores.jsonl and the report.
MAX_LISTED = 12


class Results:
    """Scores of all files; motions of the lowest ones only, so that memory stays bounded."""

    def __init__(self, names: dict[Path, str], keep: int, surface: Surface | None = None) -> None:
        self.surface = surface
        self.items: list[ScoredFile] = []
        self.video_lines: list[str] = []
        self.advice: list[str] = []  # of the first ``MAX_LISTED`` files
        self.conventions: dict[tuple[str, ...], list[str]] = {}  # what had to be assumed -> files it was assumed for
        self._names, self._keep = names, keep
        self._kept: list[ScoredFile] = []

    def add(self, item: ScoredFile) -> None:
        """Take one result."""
        self.items.append(item)
        if item.scores is not None and len(self.advice) < MAX_LISTED and (said := advice(item.scores, item.motion)):
            self.advice.append(f"{self.name(item)}: {said}")
            if pace := spectrum.sentence(item.bands):
                self.advice.append(f"{self.name(item)}: {pace}")
        if is_film(item.path):
            self.video_lines.append(video_line(item))
        assumed = (*(item.motion.provenance.conventions if item.motion else ()), *standing(item.scene))
        if assumed:
            self.conventions.setdefault(assumed, []).append(self.name(item))
        if item.motion is not None:
            self._kept.append(item)
        if len(self._kept) > self._keep:
            best = self._kept.pop(max(range(len(self._kept)), key=lambda i: _total(self._kept[i].scores)))
            best.motion = best.recovered = None
            if best.scores is not None:
                best.scores = dataclasses.replace(best.scores, frames={})

    def name(self, item: ScoredFile) -> str:
        """How the file is called in tables."""
        return self._names[item.path]

    @property
    def rows(self) -> list[tuple[str, Scores]]:
        """Name and scores of every file that was read."""
        return [(self.name(i), i.scores) for i in self.items if i.scores is not None]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Name and error of every file that was not."""
        return [
            (self.name(i), spelt(i.error.removeprefix(f"{i.path}: "), "--{}")) for i in self.items if i.scores is None
        ]

    def kept(self, least: float) -> list[ScoredFile]:
        """Files whose total is at least this."""
        return [item for item in self.items if item.valid and _total(item.scores) >= least]

    def counts(self, files: int, left_out: int) -> str:
        """How many of so many files have a score, and what became of the others."""
        scored = sum(item.valid for item in self.items)
        failed, never = len(self.items) - scored, files - len(self.items)
        others = [(failed, "without a score"), (never, "not reached"), (left_out, "left out of the folders")]
        return ", ".join([f"{scored} scored", *(f"{count} {what}" for count, what in others if count)])

    def clips(self) -> list[ClipReport]:
        """For the report: forces and torques are computed for the motions that were kept."""
        return [
            ClipReport(
                self.name(i),
                i.scores,
                i.motion,
                None if i.motion is None else dynamics_of(i.motion, self.surface, i.scene),
                _notes(i),
                film(i),
                self.surface,
                i.scene,
            )
            for i in self.items
            if i.scores is not None
        ]


def standing(scene: Scene | None) -> tuple[str, ...]:
    """Where furniture stands, in words."""
    if scene is None:
        return ()
    from mjxhuman.interaction.furnish import places  # slow to load

    return tuple(
        f"{name} at {x:.2f}, {y:.2f} m, turned by {turn:.0f} degrees" for name, (x, y, turn) in places(scene).items()
    )


def _notes(item: ScoredFile) -> tuple[str, ...]:
    """Where the clip stands among clean motion capture, and whether it is as smooth."""
    notes = [spectrum.sentence(item.bands)]
    if item.scores is not None and item.scores.reward == "feasibility":
        notes.insert(0, reference.sentence(float(np.asarray(item.scores.total))))
    return tuple(f"{note[0].upper()}{note[1:]}" for note in notes if note)


def _total(scores: Scores | None) -> float:
    total = float(np.asarray(scores.total)) if scores is not None else np.nan
    return -1.0 if np.isnan(total) else total


def run(args: argparse.Namespace) -> int:
    """Score files; exit code 0 all have a score (of at least --min-total), 1 some have not, 2 nothing could be done."""
    found = input_files(args.files)
    paths = found.files
    if args.compare and len(paths) != 2:
        raise ValueError(f"--compare: expected two files, found {len(paths)}")
    if args.out:
        output_folder(args.out, "--out")
    options = record_of(ScoreOptions, args)
    enable_compile_cache()
    names = dict(zip(paths, display_names(paths), strict=True))
    results = Results(names, MAX_DETAILS if args.out else 0, surface_of(options))
    if args.out:
        interrupted = _score_into(args, paths, options, results)
    else:
        interrupted = False
        _score_only(args, paths, options, results)
    if not args.json:
        _print(args, results)
    if args.out and results.items:
        report = _write(args, results)
        if not args.json:
            print(f"\nreport: {report}\nscores: {Path(args.out) / 'scores.jsonl'}")
    if not args.json:
        if len(paths) + len(found.left_out) > 1:
            print(f"\n{results.counts(len(paths), len(found.left_out))}")
        if args.min_total is not None:
            _print_kept(args, results)
        for line in results.video_lines:
            print(line)
    if interrupted:
        return 130
    enough = args.min_total is None or len(results.kept(args.min_total)) == len(results.items)
    return 0 if enough and all(i.valid for i in results.items) else 1


def _print_kept(args: argparse.Namespace, results: Results) -> None:
    kept = results.kept(args.min_total)
    print(f"\n{len(kept)} of {len(results.items)} files total {args.min_total:g} or more")
    below = [item for item in results.items if item.valid and _total(item.scores) < args.min_total]
    for item in sorted(below, key=lambda item: _total(item.scores))[:MAX_LISTED]:
        print(f"below: {results.name(item)} {_total(item.scores):.2f}")
    if args.out:
        print(f"kept: {Path(args.out) / 'kept.txt'}")


def is_film(path: Path) -> bool:
    """Whether a file is a video by its content; False for one that cannot be read."""
    try:
        return kind_of(path) == "video" or path.suffix.lower() in suffixes_of("video")
    except OSError:
        return False


def video_line(item: ScoredFile) -> str:
    """The JSON line that scoring a video ends with: path, valid, total, reason, axes, frames, fps."""
    scores, motion = item.scores, item.motion
    return json_line(
        {
            "path": str(item.path),
            "valid": item.valid,
            "total": float(scores.total) if scores else None,
            "reason": item.trouble.removeprefix(f"{item.path}: "),
            "axes": {name: float(value) for name, value in scores.axes.items()} if scores else {},
            "frames": motion.num_frames if motion else None,
            "fps": round(motion.fps, 6) if motion else None,
        }
    )


def _score_into(args: argparse.Namespace, paths: list[Path], options: ScoreOptions, results: Results) -> bool:
    """Score with a log; whether it was interrupted."""

    def take(item: ScoredFile) -> None:
        if args.json:
            print(json_line(item.record(options)), flush=True)
        results.add(item)

    quiet = args.json or len(paths) == 1
    summary = score_files(
        paths, args.out, options, resume=False, quiet=quiet, form="--{}", min_total=args.min_total, on_result=take
    )
    return summary.interrupted


def _score_only(args: argparse.Namespace, paths: list[Path], options: ScoreOptions, results: Results) -> None:
    with progress(len(paths), unit="file", label="score", quiet=args.json or len(paths) == 1) as bar:
        for item in scored(paths, options):
            if args.json:
                print(json_line(item.record(options)), flush=True)
            elif item.error:
                trouble = item.error.removeprefix(f"{item.path}: ")
                bar.write(printable(spelt(f"{item.path}: {trouble}", "--{}")), file=sys.stderr)
            results.add(item)
            bar.update(1)


def _print(args: argparse.Namespace, results: Results) -> None:
    width, colour = terminal()
    if results.rows:
        print(score_table(results.rows, width=width, colour=colour))
    if args.compare and len(results.rows) == 2:
        print("\n" + difference_table(*results.rows, colour=colour))
    if results.advice:
        print()
    for line in results.advice:
        print(printable(line))
    for line in _convention_lines(results):
        print(line)


def _convention_lines(results: Results) -> Iterable[str]:
    """What the files did not say and was taken for granted, files with the same sentences together."""
    if results.conventions:
        yield ""
    for sentences, names in list(results.conventions.items())[:MAX_LISTED]:
        who = names[0] if len(names) == 1 else f"{len(names)} files ({names[0]}, ...)"
        yield f"{who}: {'; '.join(s.rstrip('.') for s in sentences)}"


def _write(args: argparse.Namespace, results: Results) -> Path:
    title = f"Scores of {len(results.items)} files" if len(results.items) > 1 else results.name(results.items[0])
    if args.compare:
        title = "What changed"
    return write_report(
        Path(args.out) / "report.html",
        results.clips(),
        title=title,
        failures=results.failures,
        compare=args.compare,
    )
