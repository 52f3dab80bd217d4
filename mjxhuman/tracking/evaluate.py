"""How well a policy tracks motion: deterministic roll-outs from the first frame to the last, and their metrics.

Nothing ends a roll-out early and nothing but the servos, gravity and contact acts on the body. Clips run in batches,
a window of frames at a time, so memory and compiled programs depend neither on the length of clips nor on their number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from mjxhuman.envs.clips import ClipLibrary, make_library
from mjxhuman.envs.env import State
from mjxhuman.envs.imitation import Imitation, ImitationConfig, make_imitation
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.learning.agents import Agent
from mjxhuman.learning.policy import Policy
from mjxhuman.math.timeseries import longest_run
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.physics.simulate import SimState, Simulator
from mjxhuman.rewards.score import score as score_motion
from mjxhuman.tracking import metrics
from mjxhuman.tracking.disturbance import Disturbance
from mjxhuman.tracking.tracker import Tracker
from mjxhuman.types import Motion, Scores

#: Control steps per call of the compiled program.
WINDOW = 64
#: Frames after the last step of a window that a policy may see.
PREVIEW = 32
#: Clips that run together; the last ones of a set run in a smaller batch.
BATCHES = (64, 8, 1)
#: Fewest frames of a clip that is tracked: what it takes to judge accelerations, and a score.
MIN_FRAMES = 5


@struct.dataclass
class Effort:
    """What a control step took. N environments: ``(N,)`` each; recorded over steps ``(T, N)``."""

    torque: Array  # N m, mean over the axes of what the actuators pull with (at most their caps), when the step begins
    peak: Array  # N m, the largest of them
    net: Array  # N m, mean over the axes of the servos' torque: actuator less damping
    net_peak: Array  # N m, the largest of them
    capped: Array  # share of the servos whose spring is at its cap
    residual: Array  # rad, mean over the axes of |what the action adds to the target|
    share: Array  # of the actuators' torque, before the cap, that the action asks for; the reference asks for the rest


@dataclasses.dataclass(frozen=True)
class ClipResult:
    """How one clip was tracked, by the field's names (``rewards.metrics``); means over frames and bodies.

    Errors are means over the whole clip, what comes after a failure included. A clip whose simulation broke down has
    errors up to there.
    """

    name: str
    frames: int
    fps: float
    failed_frame: int | None  # first frame where the evaluated bodies are off by 0.5 m on average; None: success
    mpjpe_g: float  # mm
    mpjpe_l: float  # mm, relative to the root
    mpjpe_pa: float  # mm, after Procrustes alignment
    vel_dist: float  # mm per frame
    accel_dist: float  # mm per frame squared
    torque: float  # N m, mean of |actuator torque| per axis
    torque_peak: float  # N m, never above the largest cap
    net_torque: float  # N m, mean of |actuator torque less the joint's damping|
    net_torque_peak: float  # N m; in a crash damping exceeds the caps
    capped: float  # share of actuators at their cap
    residual: float  # rad, mean |action's part of the target| per axis
    residual_share: float  # of the actuators' torque: 0 the reference is played back, 1 all is the policy's
    score: float | None = None  # feasibility of the simulated motion
    reference_score: float | None = None  # of the motion it tracks
    axes: dict[str, float] = dataclasses.field(default_factory=dict)
    reference_axes: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def success(self) -> bool:
        """Whether no frame failed (PHC's criterion)."""
        return self.failed_frame is None

    @property
    def failed_time(self) -> float | None:
        """Seconds from the start at which it failed."""
        return None if self.failed_frame is None else self.failed_frame / self.fps

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**dataclasses.asdict(self), "success": self.success, "failed_time": self.failed_time}


@dataclasses.dataclass(frozen=True, eq=False)
class Tracked:
    """One clip: the simulated motion, the motion it tracks at the control rate, and the result."""

    result: ClipResult
    motion: Motion
    reference: Motion
    scores: Scores | None = None
    reference_scores: Scores | None = None


def evaluate(
    tracker: Tracker,
    motions: Sequence[Motion],
    names: Sequence[str] | None = None,
    *,
    score: bool = True,
    library: ClipLibrary | None = None,
    disturbance: Disturbance | None = None,
) -> Iterator[Tracked]:
    """Track motions from their first frame to their last.

    Args:
        tracker: from ``load_tracker``.
        motions: of the tracker's humanoid, at any frame rate; the longest valid part of each is used.
        names: for the results; default the paths.
        score: whether to compute the feasibility of both motions, which takes longer than the simulation; robots have
            no anatomy to score.
        library: of these motions, where it is at hand already.
        disturbance: what happens to the body besides; None: nothing.

    Yields:
        One ``Tracked`` per motion, in the order of their lengths.

    Raises:
        ValueError: a motion of another humanoid or with too few valid frames (see ``usable``).
    """
    names = names or [m.provenance.path or f"clip {i}" for i, m in enumerate(motions)]
    clips = [usable(motion, tracker.humanoid, tracker.fps, name) for motion, name in zip(motions, names, strict=True)]
    if not clips:
        return
    library = make_library(clips, tracker.fps) if library is None else library
    if np.asarray(library.length).tolist() != [clip.num_frames for clip in clips]:
        raise ValueError(f"library: expected the {len(clips)} clips of the motions, found {library.num_clips} others")
    env = make_imitation(library, tracker.simulator, tracker.config)
    for found in roll_out(env, tracker.policy, disturbance, names):
        yield judge(names[found.clip], clips[found.clip], found.qpos, found.effort, found.whole, score)


def usable(motion: Motion, body: Humanoid, fps: float, name: str) -> Motion:
    """The longest run of valid frames of a motion, at the control rate.

    Raises:
        ValueError: a motion of another humanoid than the simulated one, or too few valid frames in a row.
    """
    if motion.humanoid is not body:
        raise ValueError(
            f"{name}: expected a motion of the simulated body ({body.description}), found one of "
            f"{motion.humanoid.description}; load it with humanoid=tracker.humanoid"
        )
    if abs(motion.fps - fps) > 1e-3:
        motion = resample(motion, fps)
    first, stop = longest_run(motion.valid)
    if stop - first < MIN_FRAMES:
        raise ValueError(
            f"{name}: expected at least {MIN_FRAMES} valid frames in a row at {fps:g} Hz, found {stop - first}"
        )
    return motion if stop - first == motion.num_frames else cut(motion, first, stop)


def cut(motion: Motion, first: int, stop: int) -> Motion:
    """The frames of a motion from ``first`` to before ``stop``, with the velocities that they have in it."""
    arrays = ("qpos", "qvel", "qacc", "body_pos", "body_quat", "body_linvel", "body_angvel", "valid")
    cut: dict[str, Any] = {name: getattr(motion, name)[first:stop] for name in arrays}
    if (known := motion.controls) is not None:
        cut["controls"] = dataclasses.replace(known, target=known.target[first:stop])
    return dataclasses.replace(motion, **cut)


def first_seconds(motion: Motion, seconds: float) -> Motion:
    """The first so many seconds of a motion, all of it where it is shorter."""
    return cut(motion, 0, min(motion.num_frames, max(MIN_FRAMES, round(seconds * motion.fps))))


def from_phases(motion: Motion, count: int, seed: int = 0) -> list[tuple[int, Motion]]:
    """``count`` ends of a motion, from frames drawn at random, each with its first frame.

    At least a second of each is left, or the whole of a motion shorter than that.
    """
    last = max(0, motion.num_frames - round(motion.fps))
    starts = np.random.default_rng(seed).integers(0, last, size=count, endpoint=True)
    return [(int(first), cut(motion, int(first), motion.num_frames)) for first in sorted(starts)]


class RollOut(NamedTuple):
    """What a policy did with one clip of T frames."""

    clip: int  # its number
    qpos: np.ndarray  # (T, nq) simulated; frame 0 is the reference's unless the start was disturbed
    qvel: np.ndarray  # (T, nv)
    effort: Effort  # (T - 1,)
    whole: int  # T, or how many frames there are before the simulation broke down (the later ones repeat the last)


def roll_out(
    env: Imitation, policy: Policy | Agent, disturbance: Disturbance | None = None, names: Sequence[str] = ()
) -> Iterator[RollOut]:
    """Simulate the policy's mean action on every clip of an environment, from its first frame to its last.

    What the environment randomises, and where it ends episodes, is switched off; a disturbance is drawn by the clips'
    ``names``. Clips come in the order of their lengths.
    """
    env = dataclasses.replace(env, config=bare(env.config))
    lengths = np.asarray(env.library.length)
    order = np.argsort(lengths, kind="stable").tolist()
    while order:
        size = next(b for b in BATCHES if b <= len(order))
        batch, order = order[:size], order[size:]
        called = [names[i] for i in batch] if disturbance else []
        qpos, qvel, effort, broken = _play(env, policy, np.array(batch), disturbance, called)
        for k, i in enumerate(batch):
            steps = int(lengths[i]) - 1
            fell = np.flatnonzero(broken[:steps, k])
            whole = int(fell[0]) + 1 if fell.size else steps + 1
            cut = jax.tree.map(lambda x, k=k, n=steps: x[:n, k], effort)
            yield RollOut(i, qpos[: steps + 1, k], qvel[: steps + 1, k], cut, whole)


def bare(config: ImitationConfig) -> ImitationConfig:
    """The task of a roll-out: only what the policy sees is computed, and nothing ends it."""
    groups = {"state": dict(config.groups)["state"]}
    return config.plain(auto_reset=False, style=False, terminations=(), rewards={"alive": {}}, groups=groups)


def _play(
    env: Imitation, policy: Policy | Agent, clips: np.ndarray, disturbance: Disturbance | None, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, Effort, np.ndarray]:
    """qpos (T, N, nq), qvel (T, N, nv), effort and whether it broke down (T - 1, N) of clips (N,), window by window."""
    start, length = (np.asarray(x)[clips] for x in (env.library.start, env.library.length))
    begun = (env.library.qpos[start], env.library.qvel[start])
    pushes, state, parts = None, None, []
    steps = int(length.max()) - 1
    if disturbance:
        states = [disturbance.start(n, env.simulator, *map(np.asarray, x)) for n, *x in zip(names, *begun, strict=True)]
        begun = tuple(jnp.asarray(np.array(x), jnp.float32) for x in zip(*states, strict=True))  # type: ignore[assignment]
        drawn = [disturbance.pushes(name, steps + WINDOW, env.simulator.dt) for name in names]
        pushes = jnp.asarray(np.stack(drawn, 1), jnp.float32)
    for first in range(0, steps, WINDOW):
        window = window_of(env, start, length, first)
        if state is None:
            state = begin(window, begun if disturbance else None)
            begun = env.simulator.body(state.sim)
        else:
            state = next_window(state)
        state, part = _advance(window, policy, state, None if pushes is None else pushes[first : first + WINDOW])
        parts.append(jax.device_get(part))
    bodies, effort, broken = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    qpos, qvel = (np.concatenate([np.asarray(x)[None], y]) for x, y in zip(begun, bodies, strict=True))
    return qpos, qvel, effort, broken


def window_of(env: Imitation, start: np.ndarray, length: np.ndarray, first: int) -> Imitation:
    """The environment on ``WINDOW`` steps of N clips from a frame on; clips that ended repeat their last."""
    frames = WINDOW + PREVIEW  # what comes after the last step is seen as well
    return env.window(start[:, None] + np.minimum(first + np.arange(frames), length[:, None] - 1))


@jax.jit
def begin(env: Imitation, body: tuple[Array, Array] | None) -> State:
    """Episodes on every clip of an environment, from its first frame, in the reference's state or in ``body``."""
    clip = jnp.arange(env.library.start.shape[0], dtype=jnp.int32)
    return env.start(jax.random.split(jax.random.key(0), clip.size), clip, jnp.zeros_like(clip), body=body)


def next_window(state: State) -> State:
    """The same state at frame 0 of the next window."""
    return dataclasses.replace(state, task=dataclasses.replace(state.task, frame=jnp.zeros_like(state.task.frame)))


@jax.jit
def _advance(
    env: Imitation, policy: Policy | Agent, state: State, pushes: Array | None
) -> tuple[State, tuple[tuple[Array, Array], Effort, Array]]:
    """``WINDOW`` steps, with changes ``(WINDOW, N, 2)`` of the roots' horizontal velocities before each."""
    root = env.simulator.address.qvel_start

    def step(state: State, push: Array | None) -> tuple[State, tuple[tuple[Array, Array], Effort, Array]]:
        action = jnp.clip(policy(state.obs), -1.0, 1.0)
        if push is not None:
            pushed = state.sim.qvel.at[..., root : root + 2].add(push)
            state = dataclasses.replace(state, sim=dataclasses.replace(state.sim, qvel=pushed))
        effort = _effort(env, state, action)
        state = env.step(state, action)
        return state, (env.simulator.body(state.sim), effort, state.metrics["diverged"] > 0)

    return jax.lax.scan(step, state, pushes, length=WINDOW)


def _effort(env: Imitation, state: State, action: Array) -> Effort:
    target = env.target(state.task, env.smoothed(state.task, action))
    base = env.target(state.task, jnp.zeros_like(action))
    found = effort_of(env.simulator, state.sim, target, base)
    absolute = env.config.action == "absolute"
    return dataclasses.replace(found, share=jnp.ones_like(found.share)) if absolute else found


def effort_of(simulator: Simulator, state: SimState, target: Array, base: Array) -> Effort:
    """What the servos do in states (*b) under targets (*b, nu), of which the reference asks for ``base`` (*b, nu)."""
    actuated = simulator.actuated
    kp, kd, cap = (jnp.asarray(x, jnp.float32) for x in (actuated.kp, actuated.kd, actuated.cap))
    spring = simulator.torque(state, target)
    qpos, qvel = simulator.body(state)
    net = jnp.abs(spring - kd * qvel[..., simulator.address.alone.joint_qvel])
    residual = jnp.abs(target - base)
    asked = jnp.sum(kp * residual, -1)
    played = jnp.sum(kp * jnp.abs(base - simulator.joint_pos(qpos)), -1)
    return Effort(
        torque=jnp.mean(jnp.abs(spring), -1),
        peak=jnp.max(jnp.abs(spring), -1),
        net=jnp.mean(net, -1),
        net_peak=jnp.max(net, -1),
        capped=jnp.mean((jnp.abs(spring) >= 0.999 * cap).astype(jnp.float32), -1),
        residual=jnp.mean(residual, -1),
        share=asked / (asked + played + 1e-9),
    )


def judge(name: str, reference: Motion, qpos: np.ndarray, effort: Effort, whole: int, score: bool) -> Tracked:
    """Metrics and scores of a roll-out, see ``roll_out``.

    Where the simulation broke down the motion ends with its last whole frame.
    """
    frames, fps = reference.num_frames, reference.fps
    known = np.arange(frames) < max(whole, MIN_FRAMES)
    motion = motion_from_qpos(
        reference.humanoid, qpos, fps, valid=known, provenance=reference.provenance.with_(format="simulated")
    )
    body = reference.humanoid
    pos, ref = (np.asarray(m.body_pos, np.float64)[known][:, body.tracked_ids] for m in (motion, reference))
    failed = metrics.first_failure(pos, ref, body.known.rows(body.known.evaluated))
    if failed is None and whole < frames:
        failed = whole
    did = jax.tree.map(lambda x: np.asarray(x, np.float64)[: max(whole - 1, 1)], effort)
    scores = (score_motion(motion), score_motion(reference)) if score and body.is_smpl else (None, None)
    result = ClipResult(
        name=name, frames=frames, fps=round(fps, 6), failed_frame=failed,
        mpjpe_g=float(metrics.mpjpe(pos, ref).mean()),
        mpjpe_l=float(metrics.mpjpe(pos, ref, (0,)).mean()),
        mpjpe_pa=float(metrics.pa_mpjpe(pos, ref).mean()),
        vel_dist=float(metrics.vel_dist(pos, ref).mean()),
        accel_dist=float(metrics.accel_dist(pos, ref).mean()),
        torque=float(did.torque.mean()), torque_peak=float(did.peak.max()), net_torque=float(did.net.mean()),
        net_torque_peak=float(did.net_peak.max()), capped=float(did.capped.mean()),
        residual=float(did.residual.mean()), residual_share=float(did.share.mean()),
    )  # fmt: skip
    return scored_result(Tracked(result, motion, reference), *scores)


def scored_result(tracked: Tracked, scores: Scores | None, reference_scores: Scores | None) -> Tracked:
    """With the feasibility of both motions in its result."""
    result = dataclasses.replace(
        tracked.result, score=_total(scores), reference_score=_total(reference_scores),
        axes=_axes(scores), reference_axes=_axes(reference_scores),
    )  # fmt: skip
    return Tracked(result, tracked.motion, tracked.reference, scores, reference_scores)


def _total(scores: Scores | None) -> float | None:
    return float(np.asarray(scores.total)) if scores is not None and bool(np.asarray(scores.valid)) else None


def _axes(scores: Scores | None) -> dict[str, float]:
    return (
        {}
        if scores is None or _total(scores) is None
        else {name: float(np.asarray(x)) for name, x in scores.axes.items()}
    )


def summary(results: Sequence[ClipResult]) -> dict[str, float]:
    """Numbers of a set: share of clips tracked to the end; errors as means over frames, of all clips and of those.

    Means are NaN where there is no clip to take them from.
    """
    done = [r for r in results if r.success]
    numbers: dict[str, float] = {
        "clips": len(results),
        "success_rate": len(done) / len(results) if results else float("nan"),
    }
    units = {"mpjpe_g": "mpjpe_global_mm", "mpjpe_l": "mpjpe_local_mm", "mpjpe_pa": "mpjpe_pa_mm"}
    for field, label in {**units, "vel_dist": "vel_dist", "accel_dist": "accel_dist"}.items():
        numbers[label] = _mean(results, field)
        numbers[f"{label}_success"] = _mean(done, field)
    for field in ("torque", "net_torque", "capped", "residual", "residual_share", "score", "reference_score"):
        numbers[field] = _mean(results, field)
    for field in ("torque_peak", "net_torque_peak"):
        numbers[field] = max((getattr(r, field) for r in results), default=float("nan"))
    return numbers


def _mean(results: Sequence[ClipResult], field: str) -> float:
    """Mean over frames."""
    known = np.array([(getattr(r, field), r.frames) for r in results if getattr(r, field) is not None], float)
    return float(np.average(known[:, 0], weights=known[:, 1])) if len(known) else float("nan")
