"""Does a score agree with people? Pairwise accuracy, rank correlation and calibration against human preferences.

    python -m experiments.human_agreement --pairs=pairs.jsonl
    python -m experiments.human_agreement --pairs=mlist_mdmval.pth                        # MotionPercept, packed pairs
    python -m experiments.human_agreement --pairs=annotation.json --motions=npz/          # MotionPercept, as annotated

``pairs.jsonl`` has a line {"better": FILE, "worse": FILE, "group": TEXT} per pair, files beside it; motion files of any
format, videos and files of 2D keypoints. MotionPercept's pairs need the extra mjxhuman[torch]. Every score is judged:
ours with axes and sub-scores, the published one, mean jerk and foot skate. Prints a table and writes it, with what each
motion got, to ``OUT/agreement.json``; motions already judged there are not judged again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.rewards.validation.agreement import Preference
from mjxhuman.runs import JsonLines, atomic_write, describe, enable_compile_cache, optional, progress, read_json_lines
from mjxhuman.types import Motion

from .launch import launch

FLAGS = flags.FLAGS

#: MotionPercept's motions: 20 Hz, y up (the MDM of action-to-motion that made them).
FPS = 20.0
CHOICES = "ABCD"
#: What an array of numbers is made of when it is unpickled: nothing else is.
_PLAIN = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"), ("_codecs", "encode"),
}  # fmt: skip

#: A motion that is read when it is needed.
Lazy = Callable[[], Motion]


class _Arrays(pickle.Unpickler):
    """Builds arrays and plain containers, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"found {module}.{name}, expected arrays and plain containers")
        return super().find_class(module, name)


def body_path(turns: np.ndarray, place: np.ndarray) -> Motion:
    """Motion of SMPL rotation vectors ``(T, 24, 3)`` and root places ``(T, 3)`` m, y up at 20 Hz, on the floor."""
    from scipy.spatial.transform import Rotation

    from mjxhuman.retarget.motion import retarget_motion
    from mjxhuman.types import BodyMotion

    upright = Rotation.from_euler("x", 90, degrees=True)
    local = Rotation.from_rotvec(turns[:, 1:].reshape(-1, 3)).as_quat(scalar_first=True)
    root = (upright * Rotation.from_rotvec(turns[:, 0])).as_quat(scalar_first=True)
    frames = len(turns)
    body = BodyMotion(np.zeros(0), upright.apply(place), root, local.reshape(frames, 23, 4), np.ones(frames, bool), FPS)
    return retarget_motion(body)


def _from_pair(values: np.ndarray, what: str) -> Lazy:
    """A motion (T, 25, 3): 24 rotation vectors and the root's place."""
    if values.ndim != 3 or values.shape[1:] != (25, 3) or not np.isfinite(values).all():
        raise ValueError(f"{what}: expected finite numbers of shape (T, 25, 3), found {values.dtype} {values.shape}")
    return lambda: body_path(values[:, :24], values[:, 24])


def _from_mdm(values: np.ndarray, what: str) -> Lazy:
    """A motion (1, 25, 6, T) of MDM: two columns of each rotation matrix, and the root's place in the last row."""
    from scipy.spatial.transform import Rotation

    values = np.asarray(values, np.float64)
    values = values[0] if values.ndim == 4 and len(values) == 1 else values
    if values.ndim != 3 or values.shape[:2] != (25, 6) or not np.isfinite(values).all():
        raise ValueError(f"{what}: expected finite numbers of shape (1, 25, 6, T), found {values.shape}")
    six = np.moveaxis(values, -1, 0)
    x = six[:, :24, :3] / np.linalg.norm(six[:, :24, :3], axis=-1, keepdims=True)
    y = six[:, :24, 3:] - np.sum(x * six[:, :24, 3:], -1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    rows = np.stack([x, y, np.cross(x, y)], -2)  # MDM's six numbers are the first two rows
    turns = Rotation.from_matrix(rows.reshape(-1, 3, 3)).as_rotvec().reshape(len(six), 24, 3)
    return lambda: body_path(turns, six[:, 24, :3])


def packed_pairs(path: pathlib.Path) -> Iterator[tuple[Preference, Lazy, Lazy]]:
    """MotionPercept's ``.pth``: a list, or a dictionary, of {"motion_better", "motion_worse"}.

    Raises:
        ImportError: torch is not installed.
        ValueError: another content, or one that ``torch.load(weights_only=True)`` refuses.
    """
    torch = optional("torch", "torch", f"{path}: MotionPercept's pairs")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise ValueError(f"{path}: no loadable .pth ({str(error).splitlines()[0][:100]})") from None
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, item in items:
        if not isinstance(item, dict) or not {"motion_better", "motion_worse"} <= set(item):
            raise ValueError(
                f"{path}: pair {key}: expected motion_better and motion_worse, found {type(item).__name__}"
            )
        arrays = [np.asarray(item[f"motion_{side}"], np.float64) for side in ("better", "worse")]
        names = [hashlib.sha256(a.tobytes()).hexdigest()[:16] for a in arrays]
        motions = [_from_pair(a, f"{path}: pair {key}") for a in arrays]
        yield Preference(names[0], names[1], names[0]), motions[0], motions[1]


def annotated_pairs(path: pathlib.Path, folder: pathlib.Path, picked: str) -> Iterator[tuple[Preference, Lazy, Lazy]]:
    """MotionPercept's annotation: {file name: "A".."D", "allgood" or "allbad"}, or the events of its platform.

    The motion that was picked makes a pair with each of the three others; "allgood" and "allbad" say nothing.

    Raises:
        ValueError: another content, or an .npz that is missing or holds something else.
    """
    content = json.loads(path.read_text())
    choices = _choices(content, path)
    for name, choice in choices.items():
        if choice not in CHOICES:
            continue
        file = folder / f"{name.removesuffix('.npz')}.npz"
        motions = [_from_mdm(m, f"{file}, {c}") for c, m in zip(CHOICES, _mdm_motions(file), strict=True)]
        chosen = CHOICES.index(choice)
        for other in range(4):
            if other != chosen:
                good, bad = (chosen, other) if picked == "best" else (other, chosen)
                pair = Preference(f"{name} {CHOICES[good]}", f"{name} {CHOICES[bad]}", name)
                yield pair, motions[good], motions[bad]


def _choices(content: Any, path: pathlib.Path) -> dict[str, str]:
    if isinstance(content, dict) and all(isinstance(v, str) for v in content.values()):
        return content
    choices: dict[str, str] = {}
    for line in content if isinstance(content, list) else [content]:
        if not isinstance(line, dict) or "filePath" not in line:
            raise ValueError(
                f"{path}: expected {{file name: choice}} or the events of a platform, found {str(line)[:60]}"
            )
        name = pathlib.PurePath(line["filePath"]).stem.removesuffix("-ABCD")
        for event in line.get("events", []):
            if event.get("event") == "valid":
                choices[name] = str(next(iter(event.get("properties", {}).values()), ""))
    return choices


def _mdm_motions(file: pathlib.Path) -> list[np.ndarray]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open("arr_0.npy") as member:
            data = io.BytesIO(member.read())
        np.lib.format.read_magic(data)
        np.lib.format.read_array_header_1_0(data)
        array = _Arrays(data).load()
        content = np.asarray(array, object).reshape(-1)[0]
        motions = [np.asarray(m, np.float64) for m in content["motion"]]
    except (OSError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{file}: expected arr_0 with four motions of MDM ({error})") from None
    if len(motions) != len(CHOICES):
        raise ValueError(f"{file}: motion: expected {len(CHOICES)}, found {len(motions)}")
    return motions


def listed_pairs(path: pathlib.Path) -> Iterator[tuple[Preference, Lazy, Lazy]]:
    """``pairs.jsonl``: motion files, videos and keypoints by their paths, relative to the list.

    Raises:
        ValueError: a line without "better" and "worse".
    """
    import mjxhuman

    def lazy(name: str) -> Lazy:
        return lambda: mjxhuman.load_motion(path.parent / name)

    for number, line in enumerate(read_json_lines(path), 1):
        if not {"better", "worse"} <= set(line):
            raise ValueError(f"{path}, line {number}: expected better and worse, found {', '.join(line) or 'nothing'}")
        yield (
            Preference(line["better"], line["worse"], line.get("group", "")),
            lazy(line["better"]),
            lazy(line["worse"]),
        )


def pairs_of(path: pathlib.Path, motions: str, picked: str) -> Iterator[tuple[Preference, Lazy, Lazy]]:
    """The pairs of a file of any of the three kinds, by its ending.

    Raises:
        ValueError: another ending, or an annotation without the folder of its motions.
    """
    if path.suffix in (".pth", ".pt"):
        return packed_pairs(path)
    if path.suffix == ".json":
        if not motions:
            raise ValueError(f"{path}: an annotation needs --motions=FOLDER with the .npz files that it is about")
        return annotated_pairs(path, pathlib.Path(motions), picked)
    if path.suffix == ".jsonl":
        return listed_pairs(path)
    raise ValueError(f"{path}: expected .jsonl, .pth or .json, found {path.suffix or 'no ending'}")


def judge(
    pairs: Sequence[tuple[Preference, Lazy, Lazy]], log: pathlib.Path
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """The numbers of every motion by name, and why there are none of the others; ``log`` keeps them."""
    from mjxhuman.rewards.validation.agreement import judgements

    motions = {name: lazy for p, good, bad in pairs for name, lazy in ((p.better, good), (p.worse, bad))}
    values = {
        r["motion"]: {k: np.nan if v is None else v for k, v in r["values"].items()} for r in read_json_lines(log)
    }
    failed: dict[str, str] = {}
    left = {name: lazy for name, lazy in motions.items() if name not in values}
    with JsonLines(log) as lines, progress(len(motions), unit="motion", initial=len(motions) - len(left)) as bar:
        for name, lazy in left.items():
            try:
                values[name] = judgements(lazy())
                lines.append({"motion": name, "values": values[name]})
            except (ValueError, OSError) as error:
                failed[name] = str(error)
                bar.write(f"human_agreement: {name}: {error}", file=sys.stderr)
            bar.update()
    return values, failed


def define_flags() -> None:
    """The command line; not at import, so that several experiments can be loaded side by side."""
    flags.DEFINE_string("pairs", None, "pairs.jsonl, MotionPercept's .pth, or its annotation .json.", required=True)
    flags.DEFINE_string("motions", "", "Folder of MDM's .npz files that an annotation .json is about.")
    flags.DEFINE_enum("picked", "best", ["best", "worst"], "What an annotation picks: MDM best, FLAME worst.")
    flags.DEFINE_string("out", "out/agreement", "Folder for results.")
    flags.DEFINE_integer("limit", 0, "Judge so many pairs at most; 0 for all.")
    flags.DEFINE_integer("draws", 1000, "Draws of the bootstrap.")


def main(argv: Sequence[str]) -> None:
    """Entry point; exits with 1 if any motion could not be judged, 2 if there is nothing to do."""
    del argv
    from mjxhuman.rewards.validation import agreement

    enable_compile_cache()
    out = pathlib.Path(FLAGS.out)
    try:
        pairs = list(pairs_of(pathlib.Path(FLAGS.pairs), FLAGS.motions, FLAGS.picked))[: FLAGS.limit or None]
    except (ValueError, OSError, ImportError) as error:
        print(f"human_agreement: {error}", file=sys.stderr)
        sys.exit(2)
    if not pairs:
        print(f"human_agreement: --pairs={FLAGS.pairs!r} holds no pair", file=sys.stderr)
        sys.exit(2)
    values, failed = judge(pairs, out / "judged.jsonl")
    found = agreement.agreements([p for p, _, _ in pairs], values, draws=FLAGS.draws)
    print(agreement.table(found))
    summary = {"agreement": [dataclasses.asdict(a) for a in found], "failed": failed, "environment": describe()}
    with atomic_write(out / "agreement.json") as file:
        json.dump(summary, file, indent=1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    define_flags()
    launch(main)
