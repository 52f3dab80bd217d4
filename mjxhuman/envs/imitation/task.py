"""Tracking of recorded motion: the simulated humanoid follows a clip frame by frame.

The task of DeepMimic and PHC (``humanoid_im.py``): episodes start on a random frame of a random clip in the clip's own
state, the observation holds the next frame, the reward compares body states, and losing the reference ends the episode.
Nothing but the joint torques, gravity and contact acts on the body.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, Int

from mjxhuman.envs.clips import ClipLibrary, Curriculum
from mjxhuman.envs.env import Observations, State, auto_reset, first_state, fold, split, where_done
from mjxhuman.envs.imitation import observations
from mjxhuman.envs.imitation.config import ImitationConfig
from mjxhuman.envs.imitation.events import Start, turned
from mjxhuman.envs.imitation.reference import Stance, Table, make_table, stance
from mjxhuman.envs.imitation.terms import Moment
from mjxhuman.envs.terms import Past, failed, happen, observe, rewarded
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.physics.control_step import ControlStep, Phase, StepEngine
from mjxhuman.physics.simulate import SimState, Simulator
from mjxhuman.rewards.tracking import body_distance
from mjxhuman.types import Array, BodyState

#: Frames in the window of the style discriminator (PHC, ``env_im.yaml``: numAMPObsSteps).
STYLE_FRAMES = 10

#: Arrays of a library with one row per frame.
FRAME_ARRAYS = ("qpos", "qvel", "torque", "control")

#: Sets the random numbers of the observations' noise apart from all others drawn with the same key.
NOISE = 0x6E6F6973


@struct.dataclass
class Task:
    """Where in which clip an episode is."""

    clip: Int[Array, "*b"]
    frame: Int[Array, "*b"]  # of the reference at the present time
    heading: Float[Array, "*b"]  # rad, by which the clip is turned about the vertical
    steps: Int[Array, "*b"]  # since the start
    action: Float[Array, "*b actions"]  # of the last step, smoothed
    style: Float[Array, "*b STYLE_FRAMES n"] | None  # latest first; None without style
    past: Past  # of observations that come late


class Transition(NamedTuple):
    """The physics of one control step, leading axes ``*b``."""

    before: Phase  # with what happened to the body
    ctrl: Float[Array, "*b nu"]  # rad
    after: Phase  # before an automatic reset; ``before`` where no engine could step it


@struct.dataclass
class Imitation:
    """The environment: a pytree, given to jitted programs as an argument (see ``mjxhuman.envs.env``)."""

    library: ClipLibrary
    table: Table  # of the library's frames
    curriculum: Curriculum
    simulator: Simulator = struct.field(pytree_node=False)
    config: ImitationConfig = struct.field(pytree_node=False)

    @property
    def record(self) -> BodyRecord:
        """What is known of the body."""
        return self.simulator.actuated.record

    @property
    def action_size(self) -> int:
        """One number per joint axis that ``joint_scale`` leaves to the policy."""
        return len(self.config.driven(self.simulator.actuated))

    @property
    def observation_sizes(self) -> dict[str, int]:
        """Sizes of the observation groups."""
        shapes = jax.eval_shape(self.reset, jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))).obs
        return {name: int(x.shape[-1]) for name, x in shapes.items()}

    def reset(self, rng: Array) -> State:
        """Start episodes for keys ``(*b)``: on a drawn clip and frame, in the reference's state but for ``starts``."""
        rng, draw, change = split(rng, 3)
        if self.config.random_start:
            config = self.config
            chances = self.curriculum.probability(self.library, config.uniform_share, config.favour)
            clip, frame = self.library.draw(draw, chances)
        else:
            clip, _ = self.library.draw(draw, self.library.weight[self.library.segment_clip])
            frame = jnp.zeros_like(clip)
        start = self._start(change, clip, frame, jnp.zeros(clip.shape))
        return self._begun(rng, clip, frame, happen(self.config.starts, start, change, self.simulator))

    def start(
        self,
        rng: Array,
        clip: Array,
        frame: Array,
        heading: Array | None = None,
        body: tuple[Array, Array] | None = None,
    ) -> State:
        """Start episodes on clips and frames ``(*b)``, turned by ``heading`` ``(*b)`` rad.

        The body starts in the clip's state, or in the qpos and qvel that ``body`` names.
        """
        heading = jnp.zeros(clip.shape) if heading is None else heading
        start = self._start(rng, clip, frame, heading)
        if body is not None:
            start = dataclasses.replace(start, qpos=body[0], qvel=body[1])
        return self._begun(rng, clip, frame, start)

    def _start(self, rng: Array, clip: Array, frame: Array, heading: Array) -> Start:
        """In the clip's state; keys ``(*b)`` for what else an environment draws."""
        return Start(heading, *self.reference(clip, frame, heading))

    def _begun(self, rng: Array, clip: Array, frame: Array, start: Start) -> State:
        return self.resumed(rng, Phase(start.qpos, start.qvel), self._task(clip, frame, start))

    def resumed(self, rng: Array, phase: Phase, task: Task) -> State:
        """Episodes that are where ``task`` says, their bodies in ``phase``, with keys ``(*b)``; what is seen late is
        seen as it is now."""
        sim = self.simulator.init(*phase)
        moment = self._moment(sim, task, jnp.zeros((*task.clip.shape, self.simulator.actuated.nu)), task.action)
        obs, task = self._observe(moment, task, rng, None)
        return first_state(rng, obs=obs, sim=sim, task=task, metrics=self._metric_names())

    def _task(self, clip: Array, frame: Array, start: Start) -> Task:
        action = jnp.zeros((*clip.shape, self.action_size))
        style = self._past_style(clip, frame) if self.config.style else None
        return Task(clip, frame, start.heading, jnp.zeros_like(frame), action, style, {})

    def step(self, state: State, action: Array) -> State:
        """One control step (1/30 s) with ``action`` ``(*b, action_size)``, clipped to [-1, 1]."""
        return self.transition(state, action)[0]

    def transition(self, state: State, action: Array) -> tuple[State, Transition]:
        """``step``, and the physics in it."""
        rng, chance = split(state.rng)
        action = self.smoothed(state.task, action)
        sim = happen(self.config.events, state.sim, chance, self.simulator)
        ctrl = self.target(state.task, action)
        joint_vel = sim.qvel[..., self.simulator.address.joint_qvel]
        damping = jnp.asarray(self.simulator.actuated.kd, ctrl.dtype) * joint_vel
        torque = self.simulator.torque(sim, ctrl) - damping
        begun, after = sim, self.simulator.advance(sim, ctrl)
        diverged = ~jnp.all(jnp.isfinite(after.qpos), -1)
        sim = where_done(diverged, sim, after)  # a state no engine could step counts as a failure, seen from before it
        before = state.task
        task = dataclasses.replace(before, frame=before.frame + 1, steps=before.steps + 1, action=action)
        moment = self._moment(sim, task, torque, before.action)
        task = self._with_style(task, moment)
        stepped = dataclasses.replace(self._judged(state, moment, sim, task, diverged, chance), rng=rng)
        moved = Transition(Phase(*self.simulator.body(begun)), ctrl, Phase(*self.simulator.body(sim)))
        return (auto_reset(stepped, self.reset(rng)) if self.config.auto_reset else stepped), moved

    @property
    def dynamics(self) -> ControlStep:
        """The physics of a step as numbers that a network can learn (``learning.step_model``)."""
        return ControlStep(self.simulator)

    def imagined(self, advance: Callable[[Phase, Array], Phase]) -> Imitation:
        """The task with a function in the place of the engine, to be differentiated through: nothing happens to the
        body, only the end of the clip ends an episode, and none begins by itself."""
        simulator = dataclasses.replace(self.simulator, backend=StepEngine(advance))
        return dataclasses.replace(
            self, simulator=simulator, config=self.config.plain(auto_reset=False, terminations=())
        )

    def smoothed(self, task: Task, action: Array) -> Array:
        """What an action amounts to after clipping to [-1, 1] and smoothing over time."""
        return self.config.smoothed(task.action, action)

    def target(self, task: Task, action: Array) -> Array:
        """What the position actuators pull towards, ``(*b, nu)`` rad, for smoothed actions ``(*b, action_size)``.

        "absolute" scales the action; "residual" adds that to feed-forward control.
        """
        offset = self.config.offset(self.simulator.actuated, action)
        if self.config.action == "absolute":
            return offset
        return self.table.control[self.library.index(task.clip, task.frame)] + offset

    def reference(self, clip: Array, frame: Array, heading: Array) -> tuple[Array, Array]:
        """The body's qpos and qvel of the reference, turned about the vertical through the origin."""
        index = self.library.index(clip, frame)
        return turned(self.simulator, self.library.qpos[index], self.library.qvel[index], heading)

    def body_state(self, qpos: Array, qvel: Array) -> BodyState:
        """Poses and velocities of the tracked bodies in PHC's upright frames, of the body's qpos and qvel."""
        return stance(self.simulator.actuated.humanoid, qpos, qvel).body

    def reference_stance(self, clip: Array, frame: Array, heading: Array) -> Stance:
        """Bodies and balance of the reference, turned about the vertical through the origin."""
        row = self.library.index(clip, frame)
        return jax.tree.map(lambda x: x[row], self.table.stance).turned(heading)

    def window(self, rows: Int[np.ndarray, "N frames"]) -> Imitation:
        """The environment on clips that hold these rows of the library; no frame of them is drawn as a start."""
        count, frames = rows.shape
        flat = rows.reshape(-1)
        one, zero = jnp.ones(1, jnp.int32), jnp.zeros(1, jnp.int32)  # nothing is drawn: one segment stands for all
        library = self.library
        part = dataclasses.replace(
            library,
            **jax.tree.map(lambda x: x[flat], {name: getattr(library, name) for name in FRAME_ARRAYS}),
            start=jnp.asarray(frames * np.arange(count, dtype=np.int32)),
            length=jnp.full(count, frames, jnp.int32),
            segment_clip=zero, segment_start=zero, segment_length=one, segment_of=jnp.zeros(flat.size, jnp.int32),
            weight=jnp.ones(count), names=(),
        )  # fmt: skip
        table = jax.tree.map(lambda x: x[flat], self.table)
        return dataclasses.replace(self, library=part, curriculum=Curriculum.zeros(part), table=table)

    def adapt(self, state: State, rollout: dict[str, Array]) -> tuple[Imitation, State]:
        """Count where episodes failed, so that hard segments are drawn more often."""
        failed = rollout["done"] & ~rollout["truncation"]
        counted = self.curriculum.update(rollout["_segment"].astype(jnp.int32), failed, self.config.memory)
        return dataclasses.replace(self, curriculum=counted), state

    def demonstrations(self, rng: Array, n: int) -> Array:
        """Windows ``(n, STYLE_FRAMES * m)`` of the clips for the style discriminator."""
        clip, frame = self.library.draw(jax.random.split(rng, n), self.library.weight[self.library.segment_clip])
        return self._past_style(clip, frame).reshape(n, -1)

    def _moment(self, sim: SimState, task: Task, torque: Array, previous_action: Array) -> Moment:
        def reference(steps: int) -> Stance:
            return self.reference_stance(task.clip, task.frame + steps, task.heading)

        qpos, qvel = self.simulator.body(sim)
        joints = self.simulator.address.alone.joint_qvel
        row, following = (self.library.index(task.clip, task.frame + step) for step in (0, 1))
        now, present, target = stance(self.simulator.actuated.humanoid, qpos, qvel), reference(0), reference(1)
        return Moment(
            body=now.body, reference=present.body, target=target.body, balance=now, reference_balance=present,
            target_balance=target, joint_pos=self.simulator.joint_pos(qpos),
            target_joint_pos=self.table.joint_pos[following], joint_vel=qvel[..., joints],
            target_joint_vel=self.library.qvel[following][..., joints], feed_forward=self.table.control[row],
            torque=torque, action=task.action, previous_action=previous_action, steps=task.steps, record=self.record,
            ahead=reference,
        )  # fmt: skip

    def _observe(self, moment: Moment, task: Task, rng: Array, past: Past | None) -> tuple[Observations, Task]:
        """What is seen, and the task with what is kept of it for later; ``past`` is None at an episode's start."""
        obs, past = self._seen(moment, task, fold(rng, NOISE), past)
        if self.config.style:
            assert task.style is not None
            obs["amp"] = task.style.reshape(*task.clip.shape, -1)
        return obs, dataclasses.replace(task, past=past)

    def _seen(self, moment: Moment, task: Task, rng: Array, past: Past | None) -> tuple[Observations, Past]:
        return observe(dict(self.config.groups), self.config.observations, moment, rng, past)

    def _judged(self, state: State, moment: Moment, sim: SimState, task: Task, diverged: Array, rng: Array) -> State:
        """The state after a step: reward, whether and how the episode ended, metrics; ``rng`` for what is seen."""
        weighted = rewarded(self.config.rewards, moment)
        lost = failed(self.config.terminations, moment, diverged)
        ended = task.frame >= self.library.length[task.clip] - 1
        judged = self.record.rows(self.record.evaluated)
        error = jnp.mean(body_distance(moment.body.pos, moment.reference.pos, judged), -1)
        row = self.library.index(state.task.clip, state.task.frame)
        metrics = {f"reward/{name}": value for name, value in weighted.items()} | {
            "error": error,
            "torque": jnp.mean(jnp.abs(moment.torque), -1),
            "failed": lost.astype(jnp.float32),
            "diverged": diverged.astype(jnp.float32),
            "_segment": self.library.segment_of[row].astype(jnp.float32),
            "_group": state.task.clip.astype(jnp.float32),
        }
        obs, task = self._observe(moment, task, rng, state.task.past)
        return dataclasses.replace(
            state, sim=sim, task=task, obs=obs, final_obs=obs, reward=sum(weighted.values(), jnp.zeros_like(error)),
            done=lost | ended, truncation=ended & ~lost, metrics=metrics,
        )  # fmt: skip

    def _metric_names(self) -> tuple[str, ...]:
        return (
            *(f"reward/{entry.name}" for entry in self.config.rewards),
            "error",
            "torque",
            "failed",
            "diverged",
            "_segment",
            "_group",
        )

    def _past_style(self, clip: Array, frame: Array) -> Array:
        """Style windows ``(*b, STYLE_FRAMES, m)`` of the reference up to ``frame``, latest first."""
        frames = jnp.maximum(frame[..., None] - jnp.arange(STYLE_FRAMES), 0)
        index = self.library.index(clip[..., None], frames)
        qpos, qvel = self.library.qpos[index], self.library.qvel[index]
        joint_vel = qvel[..., self.simulator.address.alone.joint_qvel]
        return self._style(self.body_state(qpos, qvel), self.simulator.joint_pos(qpos), joint_vel)

    def _with_style(self, task: Task, moment: Moment) -> Task:
        if task.style is None:
            return task
        latest = self._style(moment.body, moment.joint_pos, moment.joint_vel)
        return dataclasses.replace(task, style=jnp.concatenate([latest[..., None, :], task.style[..., :-1, :]], -2))

    def _style(self, body: BodyState, joint_pos: Array, joint_vel: Array) -> Array:
        record, servos = self.record, self.simulator.actuated.servos
        seen = [i for i, name in enumerate(servos.joints) if record.style_joints is None or name in record.style_joints]
        return observations.amp(body, joint_pos, joint_vel, tuple(seen), record.rows(record.style_key), servos.axes)


def make_imitation(library: ClipLibrary, simulator: Simulator, config: ImitationConfig) -> Imitation:
    """The tracking task on a library of clips.

    Raises:
        ValueError: clips of another humanoid (number of coordinates) or frame rate than the simulator's, plans for
            other servos, or a ``joint_scale`` of a joint that it does not have.
    """
    nq, rate = simulator.address.nq, 1.0 / simulator.dt
    if library.qpos.shape[-1] != nq:
        raise ValueError(f"clips: expected nq {nq} of the simulated humanoid, found {library.qpos.shape[-1]}")
    if abs(library.fps - rate) > 1e-3:
        raise ValueError(f"clips: expected {rate:g} Hz, the control rate, found {library.fps:g} Hz")
    for name, value in library.servos or ():
        if (found := simulator.actuated.facts[name]) != value:
            raise ValueError(f"clips: found plans for bodies of {name} {value!r}, expected the simulator's, {found!r}")
    config.scales(simulator.actuated)
    return Imitation(library, make_table(library, simulator), Curriculum.zeros(library), simulator, config)
