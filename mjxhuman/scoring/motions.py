"""How physically plausible generated human motion is: the reward for post-training a motion generator.

    scores = mjxhuman.motion_reward(joints, fps=20)       # (B, T, 22, 3), HumanML3D's; torch, NumPy or JAX
    scores.total, scores.valid           # (B,) NaN where not valid: leave those samples out of the update

SMPL's rotations and coordinates of the body are scored as they are. Joint positions, and HumanML3D's features by way of
them, are fitted first (``mjxhuman.retarget``), every frame a problem of its own on the host, so that no shape or length
of a batch compiles anything; then the physics of all clips runs in one compiled program. A clip that is not finite or
cannot be fitted is marked invalid with the reason, and changes nothing for the others. The same clips give the same
scores. No gradient passes: it is a reward, not a loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from mjxhuman.data.arrays import ArrayDict
from mjxhuman.data.joints import features_to_joints, points_motion
from mjxhuman.data.skeleton import leg_length
from mjxhuman.data.smpl import BETA_KEYS, read_smpl_npz
from mjxhuman.data.source import CHILDREN, LEG_SHARE, STATURES, Source
from mjxhuman.data.text import require_finite
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.options import GROUNDS, REWARDS, FileOptions
from mjxhuman.physics.motion import MIN_FRAMES, motion_from_qpos
from mjxhuman.retarget import retarget_motion, retarget_with_report
from mjxhuman.rewards.score import score
from mjxhuman.runs.environment import cpu_count
from mjxhuman.scoring.batches import frame_rates, reason_of, stacked
from mjxhuman.scoring.motion_batches import MotionBatch, read_batch
from mjxhuman.types import PointMotion, Scores

#: Joints that lie farther than this from the body that fits them best (m, median) are no body's: what is scored would
#: be another motion.
MOST_MISFIT = 0.1


class _Posed(NamedTuple):
    """A clip in the coordinates of a body."""

    humanoid: Humanoid
    fps: float
    qpos: np.ndarray  # (T, nq)
    terms: dict[str, np.float32]  # what is known of the fit, for ``Scores.terms``


class _Reading(NamedTuple):
    """What a caller says of all clips."""

    form: str
    humanoid: Humanoid | None
    up: str | None
    unit: str | float
    ground: str


def motion_reward(
    batch: Any,
    fps: float | Sequence[float],
    prompts: Sequence[str] | None = None,
    *,
    lengths: Any = None,
    up: str | None = None,
    unit: str | float = "m",
    ground: str = "stance",
    reward: str = "feasibility",
    humanoid: Humanoid | None = None,
    workers: int | None = None,
) -> Scores:
    """Score a batch of motions from any generator.

    Args:
      batch: torch (any device), NumPy or JAX arrays with batch and time first, or sequences of arrays (T, ...) of any
        lengths, in one of these forms, as a mapping, or without one where the shape says which:

        - ``joints`` (B, T, 22, 3) or, in a mapping, (B, T, 24, 3): positions in SMPL's order;
        - ``features`` (B, T, 263): HumanML3D's, not normalised (times its deviation, plus its mean). The root and the
          places of joints seen from it are read, the 6D rotations and velocities are not;
        - ``qpos`` (B, T, nq): coordinates of the body, MuJoCo's conventions, z up, metres;
        - SMPL's parameters in a mapping, under the names of its files: ``poses`` (B, T, 24, 3) or (B, T, 72), or
          ``global_orient`` (B, T, 3) and ``body_pose`` (B, T, 23, 3) or (B, T, 69), and ``transl`` (B, T, 3), the
          model's translation. Rotation vectors, or matrices (..., 3, 3). 22, 52 and 55 joints are SMPL-H's and
          SMPL-X's. ``betas`` are taken and, as the body model's file is not there, not used.
      fps: frames per second, of all or of each (HumanML3D: 20). It is the time scale of everything physical: a wrong
        rate is a wrong score.
      prompts: taken because trainers hand them over; the score looks at the motion only.
      lengths: (B,) frames of each clip that count, where clips are padded at their end.
      up: axis of the arrays that is up: x, y, z, -x, -y or -z. None: y for 22 joints and features, as HumanML3D has it;
        z for qpos. SMPL's parameters and 24 joints have no convention: it must be given.
      unit: of joints and translations: m, cm, mm, inch or metres per unit.
      ground: how a motion is put on the floor, as ``mjxhuman.load_motion``: "none" leaves it where it is, so that one
        that hovers is told from one that stands. ``qpos`` is never moved.
      reward: "feasibility" or "phymotion", as ``mjxhuman.score``.
      humanoid: the body. None takes the built-in one: at each subject's stature for joints, as it is otherwise.
      workers: clips fitted at the same time; by default one per core, at most 8.

    Returns:
      ``Scores`` with a batch axis, NumPy: ``total (B,)``, ``axes``, ``terms``, ``valid``, and a tuple of reasons.
      Per-frame scores are left out. Of joints and features ``terms`` has ``fit_m`` and ``fit_p95_m`` too: how far (m,
      median and 95th percentile) the joints lie from the body that was scored. A generator whose joints are no body's
      is scored by the nearest one: this says how near.

    Raises:
      ValueError: no known form; shapes, types or numbers of clips, rates, lengths or prompts that do not fit; an
        unknown option, or no ``up`` where it is needed: an error of the caller, not of a clip.
    """
    body = load_humanoid("smpl") if humanoid is None else humanoid
    form, clips = found = read_batch(batch, lengths, body.nq)
    rates = frame_rates("batch", "clips", len(clips), fps, prompts)
    _check_options(found, body, up, unit, ground, reward)
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, found {workers}")
    reading = _Reading(form, humanoid, up, unit, ground)
    items = range(len(clips))
    # one limit around all fits: each sets its own, and none may restore what another has set
    with (
        threadpoolctl.threadpool_limits(1, user_api="blas"),
        futures.ThreadPoolExecutor(workers or min(8, cpu_count()), thread_name_prefix="mjxhuman-fit") as pool,
    ):
        posed = list(pool.map(lambda i: _posed(clips[i], rates[i], f"batch[{i}]", reading), items))
    return stacked(_scored(posed, reward), reward)


def _check_options(
    batch: MotionBatch, body: Humanoid, up: str | None, unit: str | float, ground: str, reward: str
) -> None:
    FileOptions(up=up, unit=unit)  # raises for unknown ones
    for name, value, known in (("ground", ground, GROUNDS), ("reward", reward, REWARDS)):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    if batch.form == "qpos":
        if up not in (None, "z") or unit not in ("m", 1.0):
            raise ValueError(f"up, unit: expected z and m, the coordinates of the body, found {up} and {unit}")
        return
    if body.smpl_body_ids is None:
        raise ValueError(f"humanoid: expected a body of SMPL's topology for {batch.form}, found {body.name!r}")
    convention = batch.form == "features" or (batch.form == "joints" and batch.clips[0]["joints"].shape[1] == 22)
    if up is None and not convention:
        what = "SMPL's parameters have" if batch.form == "smpl" else "24 joints have"
        raise ValueError(f"up: found None, expected the axis that is up, for example 'y' or 'z': {what} no convention")


def _posed(clip: Mapping[str, np.ndarray], fps: float, name: str, reading: _Reading) -> _Posed | str:
    """A clip on its body, or why it cannot be."""
    source = Source(name, FileOptions(fps=fps, up=reading.up, unit=reading.unit))
    try:
        for key, array in clip.items():
            if key in BETA_KEYS:
                continue
            if len(array) < MIN_FRAMES:
                raise source.error(key, f"{len(array)} frames", f"at least {MIN_FRAMES}")
            require_finite(source, array, f"number of {key}")
        if reading.form == "qpos":
            qpos = clip["qpos"] if clip["qpos"].dtype == np.float64 else clip["qpos"].astype(np.float32)
            return _Posed(reading.humanoid or load_humanoid("smpl"), fps, qpos, {})
        if reading.form == "smpl":
            body = read_smpl_npz(source, ArrayDict(source, clip))
            motion = retarget_motion(body, reading.humanoid, ground=reading.ground)
            return _Posed(motion.humanoid, fps, np.asarray(motion.qpos), {})
        return _fitted(_points(source, clip, reading.form), fps, name, reading)
    except ValueError as error:
        return reason_of(error)


def _points(source: Source, clip: Mapping[str, np.ndarray], form: str) -> PointMotion:
    """Joint positions in the z-up world, of a size that people have."""
    array = np.asarray(clip[form], np.float64)
    motion = points_motion(source, form, features_to_joints(array) if form == "features" else array, None, None)
    # bones of generated motion may change their length: the median frame decides
    stature = float(np.median([leg_length(motion.names, frame) or 0.0 for frame in motion.pos])) / LEG_SHARE
    if not CHILDREN[0] <= stature <= STATURES[1]:
        cause = "features that are not normalised" if form == "features" else "another unit="
        expected = f"{CHILDREN[0]} to {STATURES[1]} m, or {cause}"
        raise source.error(form, f"a stature of {stature:.3g} m (from thigh and shank)", expected)
    return motion


def _fitted(points: PointMotion, fps: float, name: str, reading: _Reading) -> _Posed | str:
    motion, report = retarget_with_report(points, reading.humanoid, ground=reading.ground)
    middle, most = 1e-3 * report["median_mm"], 1e-3 * report["p95_mm"]
    if not middle <= MOST_MISFIT:
        expected = f"expected {MOST_MISFIT} m or less"
        return f"{name}: the joints lie {middle:.2f} m (median) from the body that fits them, {expected}"
    terms = {"fit_m": np.float32(middle), "fit_p95_m": np.float32(most)}
    return _Posed(motion.humanoid, fps, np.asarray(motion.qpos), terms)


def _scored(posed: Sequence[_Posed | str], reward: str) -> list[Scores | str]:
    """Scores of each clip, or why there are none; clips of one body and rate together."""
    results: list[Scores | str] = [item if isinstance(item, str) else "" for item in posed]
    groups: dict[tuple[Humanoid, float], list[int]] = {}
    for i, item in enumerate(posed):
        if isinstance(item, _Posed):
            groups.setdefault((item.humanoid, item.fps), []).append(i)
    for (humanoid, fps), members in groups.items():
        clips = [item for i in members if isinstance(item := posed[i], _Posed)]
        frames = max(len(clip.qpos) for clip in clips)
        qpos = np.stack([np.pad(c.qpos, ((0, frames - len(c.qpos)), (0, 0)), mode="edge") for c in clips])
        known = np.arange(frames) < np.array([len(clip.qpos) for clip in clips])[:, None]
        scores = score(motion_from_qpos(humanoid, qpos, fps, valid=known), reward)
        for row, (i, clip) in enumerate(zip(members, clips, strict=True)):
            results[i] = _row(scores, row, clip.terms) if scores.valid[row] else f"batch[{i}]: {scores.reason[row]}"
    return results


def _row(scores: Scores, row: int, terms: Mapping[str, np.float32]) -> Scores:
    """One clip's scores of a batch's."""
    return Scores(
        total=scores.total[row],
        axes={name: x[row] for name, x in scores.axes.items()},
        terms={**{name: x[row] for name, x in scores.terms.items()}, **terms},
        frames={},
        valid=np.asarray(True),
        reason="",
        reward=scores.reward,
        humanoid=scores.humanoid,
    )
