"""From motion files to scores: the loop that the command line and the launchers share.

Files are read in a background thread while earlier ones are scored, in bounded memory. A file that cannot be read or
scored is an error in its own result and stops nothing.

``score_files`` writes JSON lines, one object per file, schema 1:

    schema        1
    path          as given
    sha256        of the file's bytes, null if it could not be read
    config        hash of everything that decides the numbers: options, schema, version of mjxhuman
    reward        "feasibility" or "phymotion"
    valid         true: scored; false: ``reason`` or ``error`` says why not, and the numbers are null
    reason        why the clip could not be scored, "" if it could
    error         why the file could not be read or scored at all, "" if it could
    frames, fps   of the motion
    total, axes, terms   numbers by name (``mjxhuman.types.Scores``)
    humanoid      name, stature (m), mass (kg) of the body that was used
    provenance    format, licence, conventions, ground, ground_offset (m), retarget (``mjxhuman.types.Provenance``)
    video         of a video or a file of 2D keypoints, else null: encoder, people (found), person_frames (in which the
                  person was seen), image_size (px), focal (px), reprojection_px (median over the frames)
    spectrum      power of the joints by band of frequencies beside recorded clips: low and high (Hz), level (dB over
                  0.5-2 Hz), percentile, median (dB); empty where it is not known. Reported, not scored
    scene         furniture by name, where it stood: x and y (m), turn (degrees); null without
    seconds       load and score, wall time spent on this file

A path may come up more than once (scored again after a change of file or options): the last line counts.

``scores.csv`` beside it has a row per file, for spreadsheets: path, valid, total, percentile (among clean clips), axes,
terms, reason. ``kept.txt`` lists the files whose total is at least ``min_total``, where one is given.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mjxhuman.data.source import Source
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.options import ReadOptions, SceneOptions, ScoreOptions, VideoOptions, keywords, record_of, spelt
from mjxhuman.recovery.load import Recovered, body_of, kind_of, load_motion, recover
from mjxhuman.rewards.score import score
from mjxhuman.rewards.validation import spectrum
from mjxhuman.rewards.validation.reference import percentile
from mjxhuman.runs.compile_cache import enable_compile_cache
from mjxhuman.runs.environment import describe
from mjxhuman.runs.files import JsonLines, atomic_write, file_sha256, finished_files, read_json_lines
from mjxhuman.runs.progress import progress
from mjxhuman.runs.terminal import message, printable
from mjxhuman.runs.workers import Pipeline, WorkStage
from mjxhuman.scenes import Surface, load_surface
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Motion, Scores
from mjxhuman.version import __version__

if TYPE_CHECKING:
    from mjxhuman.interaction.furnish import Furniture  # slow to load: where furniture is asked for

SCHEMA = 1


def digest(options: ScoreOptions) -> str:
    """Hash of the options, the files they name, the schema and the version: equal hashes, comparable results."""
    values: dict[str, Any] = {**dataclasses.asdict(options), "schema": SCHEMA, "version": __version__}
    named = [Path(value) for value in values.values() if isinstance(value, str) and value]
    if options.scene:
        from mjxhuman.interaction.furnish import file_of

        named += [file_of(name) for name in options.scene]
    values["files"] = [file_sha256(path) for path in named if path.is_file()]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass
class ScoredFile:
    """One file with its motion and scores, or with the error that prevented them."""

    path: Path
    sha256: str | None = None
    motion: Motion | None = None
    recovered: Recovered | None = None  # how the motion came about, of a video or 2D keypoints
    scene: Scene | None = None  # the furniture that it was scored with
    scores: Scores | None = None
    bands: tuple[spectrum.Band, ...] = ()  # how the joints' power is spread over frequencies
    error: str = ""
    load_seconds: float = 0.0
    score_seconds: float = 0.0

    @property
    def valid(self) -> bool:
        """Whether there is a score."""
        return self.scores is not None and bool(np.asarray(self.scores.valid))

    @property
    def trouble(self) -> str:
        """Why there is no score; "" if there is one."""
        return "" if self.valid else self.error or str(getattr(self.scores, "reason", "")) or "no reason given"

    def record(self, options: ScoreOptions) -> dict[str, Any]:
        """The JSON object of the module's docstring."""
        motion, scores = self.motion, self.scores
        provenance = dataclasses.asdict(motion.provenance) if motion else {}
        provenance.pop("path", None)
        body = motion.humanoid if motion else None
        return {
            "schema": SCHEMA,
            "path": str(self.path),
            "sha256": self.sha256,
            "config": digest(options),
            "reward": options.reward,
            "valid": self.valid,
            "reason": str(scores.reason) if scores else "",
            "error": self.error,
            "frames": motion.num_frames if motion else None,
            "fps": round(motion.fps, 6) if motion else None,
            "total": float(scores.total) if scores else None,
            "axes": {name: float(value) for name, value in scores.axes.items()} if scores else {},
            "terms": {name: float(value) for name, value in scores.terms.items()} if scores else {},
            "humanoid": {"name": body.name, "stature": body.stature, "mass": body.mass} if body else None,
            "provenance": provenance,
            "video": self._video(),
            "spectrum": [band._asdict() for band in self.bands],
            "scene": self._places(),
            "seconds": {"load": round(self.load_seconds, 4), "score": round(self.score_seconds, 4)},
        }

    def _places(self) -> dict[str, Any] | None:
        if self.scene is None:
            return None
        from mjxhuman.interaction.furnish import places

        return places(self.scene)

    def _video(self) -> dict[str, Any] | None:
        if self.recovered is None:
            return None
        encoding, person, fit = self.recovered.encoding, self.recovered.person, self.recovered.recovery
        return {
            "encoder": encoding.encoder,
            "people": len(encoding.people),
            "person_frames": int(person.seen.sum()),
            "image_size": list(encoding.image_size),
            "focal": float(np.asarray(fit.camera.intrinsics)[..., 0, 0].mean()) if fit else None,
            "reprojection_px": float(np.nanmedian(fit.reprojection)) if fit else None,
        }


@dataclasses.dataclass
class Summary:
    """What a run of ``score_files`` did. ``failed`` maps a path to the reason why it has no score."""

    out: Path
    scored: int = 0
    skipped: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    kept: int | None = None  # files with at least the total that was asked for

    def take(self, record: dict[str, Any]) -> str:
        """Count one result; returns why it has no score, "" if it has one."""
        self.scored += record["valid"]
        self.frames += record["frames"] or 0
        trouble = "" if record["valid"] else record["error"] or record["reason"] or "no reason given"
        if trouble:
            self.failed[record["path"]] = trouble
        return trouble

    @property
    def exit_code(self) -> int:
        """0: every file has a score; 1: some have none; 130: interrupted."""
        return 130 if self.interrupted else 1 if self.failed else 0

    def __str__(self) -> str:
        text = f"{self.scored} scored ({self.frames} frames in {self.seconds:.1f} s)"
        if self.skipped:
            text += f", {self.skipped} already there"
        if self.failed:
            text += f", {len(self.failed)} failed"
        if self.kept is not None:
            text += f", {self.kept} kept"
        return f"{text}: {self.out}" + (" (interrupted; the same command continues)" if self.interrupted else "")


def scored(
    paths: Iterable[str | os.PathLike[str]],
    options: ScoreOptions,
    *,
    read_ahead: int = 8,
    skip: Callable[[Path, str], bool] | None = None,
) -> Iterator[ScoredFile]:
    """Load and score files one after the other, in order, reading ahead in a thread.

    Args:
        paths: motion files.
        options: how to read and score them.
        read_ahead: files loaded ahead at most, which bounds the memory.
        skip: called with path and SHA-256 of the file, in the loader's thread; True leaves the file out.

    Returns:
        An iterator over one ``ScoredFile`` for each file that is not left out.

    Raises:
        ValueError, FileNotFoundError: options that no file could be scored with (read_ahead below 1, an unknown
            humanoid, no such surface): at the call, not at the first file.
    """
    if read_ahead < 1:
        raise ValueError(f"read_ahead: expected at least 1, found {read_ahead}")
    scorer = _Scorer(options)

    def load(path: Path) -> ScoredFile | None:
        return scorer.load(path, skip)

    def results() -> Iterator[ScoredFile]:
        for item in _read_ahead(map(Path, paths), load, read_ahead):
            scorer.score(item)
            yield item

    return results()


class _Scorer:
    """Loads and scores files as options say.

    Raises:
        ValueError, FileNotFoundError: options that no file could be scored with.
    """

    def __init__(self, options: ScoreOptions) -> None:
        self.options = options
        self.humanoid, self.surface, self.furnished = body_of(options), surface_of(options), furniture_of(options)

    def load(self, path: Path, skip: Callable[[Path, str], bool] | None = None) -> ScoredFile | None:
        """A file's motion, or the error that there is none for; None where ``skip`` leaves it out."""
        item, start = ScoredFile(path), time.perf_counter()
        try:
            Source(path).require_file()
            item.sha256 = file_sha256(path)
            if skip is not None and skip(path, item.sha256):
                return None
            load_into(item, self.humanoid, self.options, self.surface)
        except Exception as error:  # a bad file must not stop the others
            item.error = describe_error(error)
        item.load_seconds = time.perf_counter() - start
        return item

    def score(self, item: ScoredFile) -> None:
        """Its score, where it has a motion."""
        if item.motion is None:
            return
        start = time.perf_counter()
        try:
            item.scene = None if self.furnished is None else self.furnished.around(item.motion)
            item.scores = score(item.motion, reward=self.options.reward, surface=self.surface, scene=item.scene)
            if isinstance(item.motion.humanoid, Humanoid):
                item.bands = spectrum.spectrum(item.motion)
        except Exception as error:  # a clip that cannot be scored must not stop the others
            item.error = describe_error(error)
        item.score_seconds = time.perf_counter() - start


def _recorder(options: ScoreOptions) -> Callable[[Path], dict[str, Any]]:
    """What a worker does: the record of a file."""
    enable_compile_cache()
    scorer = _Scorer(options)

    def record(path: Path) -> dict[str, Any]:
        item = scorer.load(path)
        assert item is not None
        scorer.score(item)
        return item.record(options)

    return record


def _recorded(
    paths: Iterable[Path], options: ScoreOptions, skip: Callable[[Path, str], bool], pipeline: Pipeline
) -> Iterator[dict[str, Any]]:
    """Records of files that are not left out, in order, by workers; a file that loses two of them has an error."""
    given: collections.deque[Path] = collections.deque()

    def done(path: Path) -> bool:
        try:
            return skip(path, file_sha256(path))
        except OSError:  # which a worker says in the file's record
            return False

    def fresh() -> Iterator[Path]:
        for path in paths:
            if not done(path):
                given.append(path)
                yield path

    with pipeline:
        for outcome in pipeline.map(fresh()):
            path = given.popleft()
            yield ScoredFile(path, error=outcome.error).record(options) if outcome.error else outcome.value


def surface_of(options: SceneOptions) -> Surface | None:
    """The surface that options name; None for the floor.

    Raises:
        ValueError, FileNotFoundError: as ``load_surface``; a motion that would be moved to the floor beside a surface;
            furniture beside one.
    """
    if options.surface is None:
        return None
    if options.scene:
        raise ValueError("surface: expected none beside furniture, which stands on the level floor")
    if options.ground != "none":
        raise ValueError(f"ground: expected none beside a surface, which the motion lies on, found {options.ground}")
    return load_surface(options.surface)


def furniture_of(options: SceneOptions) -> Furniture | None:
    """The furniture that options name; None for none.

    Raises:
        ValueError, FileNotFoundError: as ``interaction.furnish.furniture``.
    """
    if not options.scene:
        return None
    from mjxhuman.interaction.furnish import furniture

    return furniture(options.scene, options, progress=sys.stderr.isatty())


def load_into(
    item: ScoredFile, humanoid: Humanoid | None, options: ScoreOptions, surface: Surface | None = None
) -> None:
    """Load the motion of ``item.path``, and how it came about; videos are fitted to the surface."""
    reading, video = keywords(ReadOptions, options), record_of(VideoOptions, options)
    if kind_of(item.path) == "motion":
        item.motion = load_motion(item.path, humanoid, **reading)
    else:
        item.recovered = recover(item.path, humanoid, options=video, surface=surface, **reading)
        item.motion = item.recovered.motion


def _read_ahead(paths: Iterator[Path], load: Callable[[Path], ScoredFile | None], depth: int) -> Iterator[ScoredFile]:
    """Loaded files in order; one thread loads, at most ``depth`` files ahead.

    More threads gain little: parsing holds Python's lock, and retargeting solves one block at a time.
    """
    pending: collections.deque[futures.Future[ScoredFile | None]] = collections.deque()
    pool = futures.ThreadPoolExecutor(1, thread_name_prefix="mjxhuman-loader")
    try:
        while True:
            for path in itertools.islice(paths, depth - len(pending)):
                pending.append(pool.submit(load, path))
            if not pending:
                return
            item = pending.popleft().result()
            if item is not None:
                yield item
    finally:
        pool.shutdown(cancel_futures=True)


def score_files(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    options: ScoreOptions,
    *,
    read_ahead: int = 8,
    resume: bool = True,
    quiet: bool = False,
    form: str = "",
    min_total: float | None = None,
    on_result: Callable[[ScoredFile], None] | None = None,
    workers: int = 0,
    backend: str = "local",
) -> Summary:
    """Score files into ``out/scores.jsonl`` (format: module docstring), and say what was run in ``out/run.json``.

    Args:
        paths: motion files.
        out: folder of the results, made if missing.
        options: how to read and score.
        read_ahead: files loaded ahead at most, which bounds the memory.
        resume: leave out files that ``scores.jsonl`` has a result for, of the same bytes and the same options. Files
            that ended in an error are tried again. False: ``scores.jsonl`` is replaced.
        quiet: no progress bar; errors are printed all the same.
        form: how options are given where errors are read, for example "--{}" (``mjxhuman.options.spelt``).
        min_total: write the paths of files with at least this total to ``out/kept.txt``.
        on_result: called with each new result, in order; not with workers.
        workers: files that are read and scored at the same time, by processes of this machine ("local") or Ray actors
            ("ray", ``runs.workers``); 0: one after the other in this process. The same lines either way.

    Returns:
        Counts and failures. An interrupt (Ctrl-C) ends the run with ``interrupted`` set and a valid file.

    Raises:
        ValueError: options no file could be scored with, or a damaged ``scores.jsonl`` (file and line are named).
    """
    log_path, start = Path(out) / "scores.jsonl", time.perf_counter()
    summary = Summary(log_path)
    config = digest(options)
    known: dict[tuple[str, str], dict[str, Any]] = {}
    lock = threading.Lock()  # of the summary and the bar: files are left out in the loader's thread

    def skip(path: Path, sha256: str) -> bool:
        record = known.get((str(path), sha256))
        if record is None:
            return False
        with lock:
            summary.skipped += 1
            if not record["valid"]:
                summary.failed[str(path)] = record["reason"]
            bar.update(1)
        return True

    results: Iterator[ScoredFile | dict[str, Any]]
    if backend != "local" and not workers:
        raise ValueError(f"workers: expected 1 or more beside the backend {backend!r}, found {workers}")
    if workers:
        if on_result is not None:
            raise ValueError("on_result: expected none with workers, which hand over lines alone")
        _Scorer(options)  # raises before anything is written, as ``scored`` does
        pipeline = Pipeline([WorkStage("score", functools.partial(_recorder, options), workers)], backend)
        results = _recorded(map(Path, paths), options, skip, pipeline)
    else:
        results = scored(paths, options, read_ahead=read_ahead, skip=skip)
    if resume:
        known.update(finished_files(log_path, config))
    else:
        log_path.unlink(missing_ok=True)
    _write_run(log_path, options, summary, len(paths))
    with JsonLines(log_path) as log, progress(len(paths), unit="file", label="score", quiet=quiet) as bar:
        try:
            for item in results:
                record = item if isinstance(item, dict) else item.record(options)
                log.append(record)
                with lock:
                    trouble = summary.take(record)
                    bar.update(1)
                if trouble:
                    named = trouble if trouble.startswith(record["path"]) else f"{record['path']}: {trouble}"
                    bar.write(printable(spelt(named, form)), file=sys.stderr)
                if on_result is not None and isinstance(item, ScoredFile):
                    on_result(item)
        except KeyboardInterrupt:
            summary.interrupted = True
    summary.seconds = time.perf_counter() - start
    _write_run(log_path, options, summary, len(paths))
    summary.kept = _write_tables(log_path, [str(path) for path in paths], min_total)
    return summary


def _write_tables(log_path: Path, paths: Sequence[str], min_total: float | None) -> int | None:
    """``scores.csv`` and, with a least total, ``kept.txt``; how many were kept."""
    last = {record["path"]: record for record in read_json_lines(log_path)} if log_path.exists() else {}
    records = [last[path] for path in paths if path in last]
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys([*record["axes"], *record["terms"]]))
    with atomic_write(log_path.with_name("scores.csv")) as file:
        table = csv.writer(file)
        table.writerow(["path", "valid", "total", "percentile", *names, "reason"])
        for record in records:
            numbers = {**record["axes"], **record["terms"]}
            values = [numbers.get(name) for name in names]
            reason = record["error"] or record["reason"]
            table.writerow(
                [record["path"], record["valid"], record["total"], standing(record), *values, printable(reason)]
            )
    if min_total is None:
        return None
    kept = [record["path"] for record in records if record["valid"] and record["total"] >= min_total]
    with atomic_write(log_path.with_name("kept.txt")) as file:
        file.writelines(f"{path}\n" for path in kept)
    return len(kept)


def standing(record: dict[str, Any]) -> float | None:
    """Share in percent of clean clips that a record's total is higher than; None where there is none."""
    if not record["valid"] or record["reward"] != "feasibility":
        return None
    return round(percentile("total", record["total"]), 1)


def _write_run(log_path: Path, options: ScoreOptions, summary: Summary, files: int) -> None:
    """What was run and how far it came, beside the results."""
    content = {
        "schema": SCHEMA,
        "options": dataclasses.asdict(options),
        "config": digest(options),
        "environment": describe(),
        "files": files,
        "scored": summary.scored,
        "skipped": summary.skipped,
        "failed": summary.failed,
        "frames": summary.frames,
        "seconds": round(summary.seconds, 3),
        "interrupted": summary.interrupted,
    }
    with atomic_write(log_path.with_name("run.json")) as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")


def describe_error(error: Exception) -> str:
    """What went wrong with a file, in one line: errors that name the file and field speak for themselves."""
    text = message(error) or "no message"
    return text if isinstance(error, ValueError) or text != str(error) else f"{type(error).__name__}: {text}"
