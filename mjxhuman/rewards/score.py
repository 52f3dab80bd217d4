"""``score``: a Motion in, Scores out. Batches of any number and length run through one compiled block program."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.humanoids import twins
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import timeseries
from mjxhuman.options import REWARDS
from mjxhuman.physics.anatomy import make_anatomy
from mjxhuman.physics.batching import map_frames
from mjxhuman.physics.contact_window import window_bearing
from mjxhuman.physics.motion import flat_frames, humanoid_tree, motion_from_qpos, unflat_frames
from mjxhuman.rewards import clip as clip_time
from mjxhuman.rewards import feasibility
from mjxhuman.runs.progress import compiling
from mjxhuman.scenes.carrier import carrier
from mjxhuman.scenes.surface import Surface
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Motion, Scores

#: Fewest frames with a whole regression window: fewer say nothing about a motion.
MIN_SCORED_FRAMES = 4

#: Unit of the physical error behind each sub-score; ``Scores.terms`` carries it as ``<name>_<unit>``.
ERROR_UNITS = {
    "joint_speed": "excess",
    "joint_limit": "rad",
    "self_penetration": "m",
    "foot_slip": "m_per_s",
    "ground_penetration": "m",
    "floating": "bw",
    "balance": "m",
    "torque": "excess",
    "ground_reaction": "bw",
    "power": "w_per_kg",
    "leap": "m",
    "flight": "times",
}


def score(
    motion: Motion,
    reward: str = "feasibility",
    humanoid: Humanoid | None = None,
    *,
    hard: bool = False,
    config: feasibility.Config | None = None,
    surface: Surface | None = None,
    scene: Scene | None = None,
) -> Scores:
    """Score a motion against what carries it, by default the floor of its own world, z = 0. The motion is never moved.

    Args:
      motion: ``(T, ...)`` or ``(B, T, ...)``. Under ``jax.grad``, ``jit`` or ``vmap`` the result is differentiable with
        respect to ``qpos``, ``qvel`` and ``qacc``, and to the numbers of the surface.
      reward: ``"feasibility"`` (ours) or ``"phymotion"`` (the published scorer, bug for bug).
      humanoid: score the same coordinates on this body; default the motion's own.
      hard: feasibility only: count frames within tolerance instead of soft qualities.
      config: feasibility only: tolerances.
      surface: feasibility only: what may carry the body (see ``mjxhuman.scenes``).
      scene: feasibility only, instead of a surface: floor and furniture, which stands where it is (see ``analyse``).

    Returns:
      ``Scores``. For feasibility, ``terms`` holds the sub-scores (0..1, higher is better) and, with the unit in the
      name, the mean physical error behind each. Clips that cannot be scored are not valid, with the reason, and NaN.

    Raises:
      ValueError: unknown reward, a humanoid with other coordinates than the motion's, something that is no surface, or
        any surface for the published reward, which knows none but z = 0, or both surface and scene.
    """
    if reward not in REWARDS:
        raise ValueError(f"reward: expected one of {', '.join(REWARDS)}, found {reward!r}")
    if reward == "phymotion" and (surface is not None or scene is not None):
        name = "surface" if scene is None else "scene"
        raise ValueError(f"{name}: the published reward knows none but the floor z = 0; expected None")
    if humanoid is not None and humanoid is not motion.humanoid:
        if humanoid.nq != motion.humanoid.nq or humanoid.layout != motion.humanoid.layout:
            raise ValueError(
                f"humanoid: expected the motion's coordinates (nq {motion.humanoid.nq}, {motion.humanoid.layout} "
                f"joints), found nq {humanoid.nq}, {humanoid.layout} joints"
            )
        motion = dataclasses.replace(motion, humanoid=humanoid)
    if reward == "phymotion":
        from mjxhuman.rewards.phymotion.score import score_motion

        return score_motion(motion)
    return _feasibility(motion, hard, config or feasibility.Config(), carrier(surface, scene), scene is not None)


def in_ball_joints(motion: Motion) -> Motion:
    """The motion on the ball-joint twin of its body; a motion with ball joints is returned as it is.

    Hinge triples have poles and wrap; rotations have neither, so derivatives are taken after the conversion.
    """
    if motion.humanoid.layout != "hinge":
        return motion
    twin = twins.to_ball(motion.humanoid)
    qpos = twins.hinge_to_ball_qpos(motion.humanoid, motion.qpos)
    return motion_from_qpos(twin, qpos, motion.fps, valid=motion.valid, provenance=motion.provenance)


def _feasibility(motion: Motion, hard: bool, config: feasibility.Config, surface: Surface, furniture: bool) -> Scores:
    motion = in_ball_joints(motion)
    dtype = np.dtype(motion.qpos.dtype)
    tree, params = humanoid_tree(motion.humanoid, dtype)
    anatomy, numbers = make_anatomy(motion.humanoid, dtype, furniture)
    fn = functools.partial(feasibility.frame_errors, tree, anatomy, config)
    lead = motion.qpos.shape[:-1]
    fields = (motion.qpos, motion.qvel, motion.qacc)
    bears = window_bearing(motion, surface, furniture)
    if any(isinstance(x, jax.core.Tracer) for x in (*fields, *jax.tree.leaves(surface))):
        qpos, qvel, qacc = (flat_frames(x) for x in fields)
        out = fn(params, numbers, surface, qpos, qvel, qacc, bears)
    else:
        with compiling("the score"):
            out = map_frames(fn, (params, numbers, surface), (*(flat_frames(np.asarray(x)) for x in fields), bears))
    raw = {name: x.reshape(lead) for name, x in out["errors"].items()}
    known = np.asarray(motion.valid) if _concrete(motion.valid) else np.ones(motion.valid.shape, bool)
    com = unflat_frames(out["com"], lead).swapaxes(-1, -2)
    raw |= _over_time(motion, config, known, com, out["clear"].reshape(lead))
    return _summarise(motion, known, feasibility.qualities(raw, config, hard), raw)


def _over_time(motion: Motion, config: feasibility.Config, known: np.ndarray, com: Any, clear: Any) -> dict[str, Any]:
    """The errors ``(*b, T)`` that need the frames around, of centres of mass ``(*b, 3, T)``."""
    gravity = float(np.linalg.norm(motion.humanoid.model.opt.gravity))
    radius = timeseries.window_radius(motion.dt)
    xp = clip_time.xp_of(clear)
    clear = xp.where(known, clear, 0.0)
    flight = clip_time.flight_errors(com, clear, motion.dt, motion.humanoid.up, gravity) if gravity else 0.0 * clear
    most = (config.peak_reaction + 1.0) * gravity
    return {"leap": clip_time.leaps(com, known, motion.dt, most, radius), "flight": flight}


def _summarise(motion: Motion, known: np.ndarray, scores: dict[str, Any], raw: dict[str, Any]) -> Scores:
    fit = timeseries.whole_windows(known, timeseries.window_radius(motion.dt))
    count = fit.sum(-1)
    named = {f"{name}_{ERROR_UNITS[name]}" if name in ERROR_UNITS else name: x for name, x in raw.items()}
    frames = {**scores, **named}
    bad = ~np.isfinite(np.where(fit, scores["total"], 0.0)).all(-1) if _concrete(scores["total"]) else count < 0
    valid = (count >= MIN_SCORED_FRAMES) & ~bad
    xp: Any = np if _concrete(scores["total"]) else jnp

    def mean(x: Any) -> Any:
        return xp.where(fit, x, 0.0).sum(-1) / np.maximum(count, 1)

    clip = {name: mean(x) for name, x in frames.items() if name != "total" and name not in feasibility.AXES}
    axes = {a: clip_time.clip_value(frames[a], fit, motion.dt) for a in feasibility.AXES}
    total = feasibility.total_of(list(axes.values()))

    def known_only(x: Any) -> Any:
        return xp.where(valid, x, xp.nan)

    return Scores(
        total=known_only(total),
        axes={name: known_only(x) for name, x in axes.items()},
        terms={name: known_only(x) for name, x in clip.items()},
        frames={name: xp.where(fit, x, xp.nan) for name, x in frames.items()},
        valid=valid,
        reason=_reasons(valid, count, bad),
        reward="feasibility",
        humanoid=motion.humanoid.description,
    )


def _concrete(x: Any) -> bool:
    return not isinstance(x, jax.core.Tracer)


def _reasons(valid: np.ndarray, count: np.ndarray, bad: np.ndarray) -> str | tuple[str, ...]:
    def reason(ok: bool, n: int, broken: bool) -> str:
        if ok:
            return ""
        if broken:
            return "not scored: the dynamics of the motion are not finite"
        return f"not scored: {n} frames have a whole window of valid neighbours, expected {MIN_SCORED_FRAMES} or more"

    if np.ndim(valid) == 0:
        return reason(bool(valid), int(count), bool(bad))
    return tuple(reason(bool(v), int(c), bool(b)) for v, c, b in zip(valid, count, bad, strict=True))
