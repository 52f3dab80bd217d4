"""The published PhyMotion reward, bug for bug, for comparison with numbers that others report.

Huang et al., "PhyMotion: Structured 3D Motion Reward for Physics-Grounded Human Video Generation", arXiv 2605.14269.
What is reproduced is the released code (repository h6kplus/PhyMotion, commit 78f9544), not the paper's text. Its reward
``phymotion_combined`` is the mean of a kinematic axis on joint positions (``joints``) and of contact and
dynamic axes on MuJoCo quantities (``mujoco``). It does not see constant floating or sinking and prefers a
frozen pose to every real clip; ``mjxhuman.rewards.feasibility`` is the measure to optimise.

The released code rates SMPL-X meshes. A motion without a mesh is rated on SMPL's 24 body origins and the corners of
the soles, with no self-collision. Differences in time are taken from ``qpos`` as the released code takes them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.twins import hinge_coordinates, to_hinge
from mjxhuman.physics.batching import CPU_BLOCK, CPU_OPTIONS, DEVICE_BLOCK, run_blocks
from mjxhuman.physics.windows import bucket
from mjxhuman.rewards.phymotion.body import Axes, Bodies, Measured, Numbers, axes, make_body, measure
from mjxhuman.rewards.phymotion.mujoco import BALANCE_RANGE, PENETRATION_RANGE, SLIP_RANGE
from mjxhuman.rewards.phymotion.time import make_clip
from mjxhuman.types import Motion, Scores

#: The frame rate that the released code assumes for every clip; give it as ``fps`` to get its scores of other clips.
RELEASED_FPS = 30.0
#: Fewest frames that can be differenced.
MIN_FRAMES = 2

AXES = ("kinematic", "contact", "dynamic")


def score_motion(motion: Motion, fps: float | None = None) -> Scores:
    """:func:`phymotion_scores` of a ``Motion``, at its own frame rate unless ``fps`` is given."""
    return phymotion_scores(motion.humanoid, motion.qpos, fps or motion.fps, valid=motion.valid)


def phymotion_scores(humanoid: Humanoid, qpos: ArrayLike, fps: float, *, valid: ArrayLike | None = None) -> Scores:
    """The published reward of motions of an SMPL-topology humanoid.

    Ball joints are converted to the hinge twin's intrinsic XYZ Euler angles, wrapped to +-pi. Float64 input is scored
    in float64 where JAX has it enabled, other input in float32.

    Args:
        humanoid: with hinge triples or ball joints.
        qpos: (..., T, nq), at least 2 frames; z up, any floor height.
        fps: frames per second; ``RELEASED_FPS`` is what the released code assumes.
        valid: (..., T) bool, the frames that count: one stretch of each clip. Default all.

    Returns:
        ``Scores`` with NumPy arrays. ``total`` is ``phymotion_combined``; ``axes`` kinematic, contact, dynamic;
        ``terms`` the released names ``v_slip, v_pen, v_float, v_bal, s_tau, s_grf, s_met, s_bal, MET`` (J),
        ``v_grf_vert, v_grf_horiz``, those of the joint-position scorer with the prefix ``v1_``, and ``overall``;
        ``frames`` what each frame adds (see ``FRAME_TERMS``). A clip with fewer than 2 frames, gaps or values that
        are not finite is not valid.

    Raises:
        ValueError: wrong shape, wrong frame rate, or a humanoid that is not of SMPL topology.
    """
    clips, mask, lead = _checked(humanoid, qpos, fps, valid)
    reasons = _reasons(clips, mask)
    usable = np.array([not reason for reason in reasons])
    scored = mask & usable[:, None]
    # turned around so that the valid stretch comes first, and back again
    order = (np.arange(mask.shape[1]) + mask.argmax(axis=1)[:, None]) % mask.shape[1]
    first, turned = np.take_along_axis(clips, order[..., None], 1), np.take_along_axis(scored, order, 1)
    summary, frames = _summaries(humanoid, first, turned, fps)
    frames = np.take_along_axis(frames, np.argsort(order, axis=1)[None], 2)
    summary, frames = np.where(usable, summary, np.nan), np.where(scored, frames, np.nan)
    clip = {name: x.reshape(lead) for name, x in zip(CLIP_TERMS, summary, strict=True)}
    return Scores(
        total=clip.pop("phymotion_combined"),
        axes={name: clip.pop(name) for name in AXES},
        terms=clip,
        frames={name: x.reshape(*lead, -1) for name, x in zip(FRAME_TERMS, frames, strict=True)},
        valid=usable.reshape(lead),
        reason=tuple(reasons) if lead else reasons[0],
        reward="phymotion",
        humanoid=humanoid.description,
    )


def phymotion_parts(
    humanoid: Humanoid, qpos: ArrayLike, fps: float, *, valid: ArrayLike | None = None
) -> tuple[Measured, Axes]:
    """Torques, contacts and every other intermediate behind :func:`phymotion_scores`, same arguments.

    The valid frames must be the first ones. Arrays have their components first, then the batch axes, then time; frames
    that do not count hold anything. Meant for inspection: compiles for each new shape and takes about 2 kB per frame.
    """
    clips, mask, lead = _checked(humanoid, qpos, fps, valid)
    bodies, numbers = make_body(to_hinge(humanoid), clips.dtype)
    frames = clips.shape[-2]
    return _program(_parts)(
        bodies, numbers, clips.reshape(*lead, frames, -1), mask.reshape(*lead, frames), np.asarray(fps, clips.dtype)
    )


@functools.lru_cache(maxsize=2)
def _program(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled with the bodies static; made late, because the options depend on the device."""
    return jax.jit(function, static_argnums=0, compiler_options=CPU_OPTIONS if jax.default_backend() == "cpu" else None)


def _parts(bodies: Bodies, numbers: Numbers, qpos: Array, valid: Array, fps: Array) -> tuple[Measured, Axes]:
    """From (*b, T, nq), in either joint layout, and (*b, T)."""
    clip = make_clip(valid, fps, qpos.dtype)
    qpos = jnp.where(valid[..., None], qpos, qpos[..., :1, :])  # what the padding holds may not even be a rotation
    if qpos.shape[-1] != bodies.tree.nq:
        qpos = hinge_coordinates(qpos)
    # the barrier keeps the two halves from being fused: quicker to compile and to run
    measured = lax.optimization_barrier(measure(bodies, numbers, jnp.moveaxis(qpos, -1, 0), clip))
    return measured, axes(numbers, measured, clip)


def _summary(bodies: Bodies, numbers: Numbers, qpos: Array, valid: Array, fps: Array) -> tuple[Array, Array]:
    """``CLIP_TERMS`` (K, C) and ``FRAME_TERMS`` (F, C, T) of clips (C, T, nq), packed: two transfers, not forty."""
    measured, parts = _parts(bodies, numbers, qpos, valid, fps)
    clip = jnp.stack([term(parts) for term in CLIP_TERMS.values()])
    weight = numbers.body_weight
    return clip, jnp.stack([term(parts, measured.qfrc / weight) for term in FRAME_TERMS.values()])


#: What a clip's scores are made of.
CLIP_TERMS: dict[str, Callable[[Axes], Array]] = {
    "phymotion_combined": lambda a: a.combined,
    "kinematic": lambda a: a.kinematic.score,
    "contact": lambda a: a.contact.score,
    "dynamic": lambda a: a.dynamic.score,
    "v_slip": lambda a: a.contact.v_slip,
    "v_pen": lambda a: a.contact.v_pen,
    "v_float": lambda a: a.contact.v_float,
    "v_bal": lambda a: a.contact.v_bal,
    "s_tau": lambda a: a.dynamic.s_tau,
    "s_grf": lambda a: a.dynamic.s_grf,
    "s_met": lambda a: a.dynamic.s_met,
    "s_bal": lambda a: a.dynamic.s_bal,
    "MET": lambda a: a.dynamic.met,
    "v_grf_vert": lambda a: a.dynamic.v_grf_vert,
    "v_grf_horiz": lambda a: a.dynamic.v_grf_horiz,
    "v1_limb_length": lambda a: a.kinematic.limb_length,
    "v1_velocity": lambda a: a.kinematic.velocity,
    "v1_jitter": lambda a: a.kinematic.jitter,
    "v1_self_collision": lambda a: a.kinematic.self_collision,
    "v1_contact": lambda a: a.old_contact.score,
    "v1_slip": lambda a: a.old_contact.slip,
    "v1_penetration": lambda a: a.old_contact.penetration,
    "v1_friction": lambda a: a.old_contact.friction,
    "v1_floating": lambda a: a.old_contact.floating,
    "v1_dynamic": lambda a: a.old_dynamic.score,
    "v1_torque": lambda a: a.old_dynamic.torque,
    "v1_grf_vert": lambda a: a.old_dynamic.grf_vertical,
    "v1_grf_horiz": lambda a: a.old_dynamic.grf_horizontal,
    "v1_balance": lambda a: a.old_dynamic.balance,
    "v1_metabolic": lambda a: a.old_dynamic.work,
    "overall": lambda a: a.overall,
}

#: What each frame adds, from the axes and the generalized forces in body weights. The mean over a clip's frames is the
#: term of the same name, except for MET (J), which is a sum, and before a term is clipped at 1.
FRAME_TERMS: dict[str, Callable[[Axes, Array], Array]] = {
    "v_slip": lambda a, f: jnp.sum(a.contact.slip, axis=0) / (2.0 * SLIP_RANGE),
    "v_pen": lambda a, f: jnp.sum(a.contact.penetration, axis=0) / (2.0 * PENETRATION_RANGE),
    "v_float": lambda a, f: jnp.mean(a.contact.floating.astype(f.dtype), axis=0),
    "v_bal": lambda a, f: jnp.clip(a.contact.support_distance, 0.0, BALANCE_RANGE) / BALANCE_RANGE,
    "s_tau": lambda a, f: 1.0 - jnp.mean(a.dynamic.over_torque.astype(f.dtype), axis=0),
    "v_grf_vert": lambda a, f: a.dynamic.over_vertical.astype(f.dtype),
    "v_grf_horiz": lambda a, f: a.dynamic.over_horizontal.astype(f.dtype),
    "MET": lambda a, f: a.dynamic.work,
    "feet_in_contact": lambda a, f: jnp.sum(a.contact.touching.astype(f.dtype), axis=0),  # of four foot bodies
    "support_distance": lambda a, f: a.contact.support_distance,  # m
    "root_force_vertical": lambda a, f: f[2],  # body weights
    "root_force_horizontal": lambda a, f: jnp.linalg.norm(f[:2], axis=0),  # body weights
    "v1_max_joint_speed": lambda a, f: a.kinematic.max_speed,  # m/s
}


def _checked(
    humanoid: Humanoid, qpos: ArrayLike, fps: float, valid: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Clips (C, T, nq), mask (C, T) and the batch shape; values are not looked at."""
    qpos = np.asarray(qpos)
    if qpos.ndim < 2 or qpos.shape[-1] != humanoid.nq or 0 in qpos.shape:
        raise ValueError(f"qpos: expected (..., T, {humanoid.nq}) for humanoid {humanoid.name!r}, found {qpos.shape}")
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps: expected a positive number, found {fps}")
    mask = np.ones(qpos.shape[:-1], bool) if valid is None else np.asarray(valid, bool)
    if mask.shape != qpos.shape[:-1]:
        raise ValueError(f"valid: expected shape {qpos.shape[:-1]}, found {mask.shape}")
    double = qpos.dtype == np.float64 and bool(jax.config.read("jax_enable_x64"))
    clips = qpos.astype(np.float64 if double else np.float32).reshape(-1, *qpos.shape[-2:])
    return clips, mask.reshape(clips.shape[:-1]), qpos.shape[:-2]


def _reasons(clips: np.ndarray, mask: np.ndarray) -> list[str]:
    """Why each clip cannot be scored; "" if it can."""
    length = mask.sum(axis=-1)
    stretches = np.sum(mask[:, 1:] & ~mask[:, :-1], axis=-1) + mask[:, 0]
    finite = np.all(np.isfinite(clips) | ~mask[..., None], axis=(-2, -1))
    reasons = []
    for count, pieces, good in zip(length, stretches, finite, strict=True):
        if pieces > 1:
            reasons.append(f"the valid frames are {pieces} stretches, and the published reward knows no gaps")
        elif count < MIN_FRAMES:
            reasons.append(f"the clip has {count} valid frames, and at least {MIN_FRAMES} are needed")
        else:
            reasons.append("" if good else "qpos holds values that are not finite")
    return reasons


def _summaries(humanoid: Humanoid, clips: np.ndarray, mask: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """``CLIP_TERMS`` (K, C) and ``FRAME_TERMS`` (F, C, T): blocks of clips, one compiled program per length bucket."""
    bodies, numbers = make_body(to_hinge(humanoid), clips.dtype)
    count, frames = mask.shape
    length = bucket(frames)
    group = max(1, (CPU_BLOCK if jax.default_backend() == "cpu" else DEVICE_BLOCK) // length)
    rate = np.asarray(fps, clips.dtype)

    def run(start: int) -> tuple[np.ndarray, np.ndarray]:
        some, known = clips[start : start + group], mask[start : start + group]
        pad = ((0, group - len(some)), (0, length - frames))
        some, known = np.pad(some, (*pad, (0, 0)), mode="edge"), np.pad(known, pad)
        clip, frame = _program(_summary)(bodies, numbers, some, known, rate)
        return np.asarray(clip), np.asarray(frame)

    found = run_blocks(run, range(0, count, group))
    clip, frame = (np.concatenate([x[i] for x in found], axis=1) for i in range(2))
    return clip[:, :count], frame[:, :count, :frames]
