"""The simulated body does what a video shows: it sees the video and never the recorded motion that it is paid for.

The environment is that of tracking (``envs.imitation``) with one of several videos of each clip. The group "state" sees
the video's estimate in the place of the reference, and actions of the kind "residual" are added to the estimate's
feed-forward control; nothing of the true motion reaches the policy. Reward, terminations and other groups see the
truth, carried to where the video has it (``library``).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int

from mjxhuman.envs.clips import ClipLibrary, Curriculum
from mjxhuman.envs.env import Observations, State, fold
from mjxhuman.envs.imitation import Imitation, make_imitation
from mjxhuman.envs.imitation.events import Start, turned
from mjxhuman.envs.imitation.reference import Stance
from mjxhuman.envs.imitation.task import Task
from mjxhuman.envs.imitation.terms import Moment
from mjxhuman.envs.terms import Past, observe
from mjxhuman.envs.vision.config import VisionConfig
from mjxhuman.envs.vision.expert import Expert
from mjxhuman.envs.vision.library import VisualFrame, VisualLibrary
from mjxhuman.envs.vision.terms import VisualMoment, VisualStart
from mjxhuman.math import rotation
from mjxhuman.physics.simulate import SimState, Simulator
from mjxhuman.types import Array

#: The group of the term of the same name, alone: what losses and led episodes take from the expert.
EXPERT = "expert"
#: Sets the random numbers that choose view and leader apart from others drawn with the same key.
_VIEW = 0x76696577
#: Share of led episodes below which there are none.
_NONE_LED = 1e-3
#: Names what observations of groups other than "state" keep for later.
_TRUTH = "truth/"


@struct.dataclass
class VisionTask(Task):
    """Where in which video of which clip an episode is."""

    view: Int[Array, "*b"]
    led: Bool[Array, "*b"]  # the expert acts


@struct.dataclass
class VisionCurriculum(Curriculum):
    """What changes while training."""

    lead: Float[Array, ""]  # share of the episodes that begin with the expert acting

    @classmethod
    def of(cls, known: Curriculum, lead: float) -> VisionCurriculum:
        """With a share of led episodes."""
        return cls(known.visits, known.failures, jnp.asarray(lead, jnp.float32))


@struct.dataclass
class Vision(Imitation):
    """The environment; see ``Imitation``."""

    visual: VisualLibrary
    expert: Expert | None  # labels visited states, as the term "expert"
    keep_lead: float = struct.field(pytree_node=False, default=0.0)  # of ``VisionCurriculum.lead`` per iteration

    def start(
        self,
        rng: Array,
        clip: Array,
        frame: Array,
        heading: Array | None = None,
        body: tuple[Array, Array] | None = None,
        view: Array | None = None,
    ) -> State:
        """As ``Imitation.start``, but in the state of the estimate: what is known where there is only a video.

        ``view (*b)``: which video of the clip; None: the first.
        """
        heading = jnp.zeros(clip.shape) if heading is None else heading
        view = jnp.zeros_like(clip) if view is None else view
        start = self._filmed(clip, frame, heading, view, jnp.zeros(clip.shape, bool))
        body = turned(self.simulator, start.estimate_qpos, start.estimate_qvel, heading) if body is None else body
        return self._begun(rng, clip, frame, dataclasses.replace(start, qpos=body[0], qvel=body[1]))

    def step(self, state: State, action: Array) -> State:
        """See ``Imitation``; in led episodes the expert acts, as far as the policy's actions reach."""
        if self.keep_lead > 0:
            wanted = state.obs[EXPERT] / (1.0 - self.config.smoothing)
            action = jnp.where(state.task.led[..., None], wanted, action)
        return super().step(state, action)

    def target(self, task: Task, action: Array) -> Array:
        """See ``Imitation``; "residual" adds to the feed-forward control of the estimate."""
        offset = self.config.offset(self.simulator.actuated, action)
        return offset if self.config.action == "absolute" else self._control(task, 0) + offset

    def only(self, view: int) -> Vision:
        """With a single video of each clip."""
        return dataclasses.replace(self, visual=self.visual.only(view))

    def window(self, rows: Int[np.ndarray, "N frames"]) -> Vision:
        """See ``Imitation``."""
        found = super().window(rows)
        assert isinstance(found, Vision)
        return dataclasses.replace(found, visual=self.visual.rows(rows.reshape(-1)))

    def adapt(self, state: State, rollout: dict[str, Array]) -> tuple[Imitation, State]:
        """See ``Imitation``; the expert leads less often."""
        env, state = super().adapt(state, rollout)
        counted = env.curriculum
        assert isinstance(counted, VisionCurriculum)
        lead = self.keep_lead * counted.lead
        lead = jnp.where(lead < _NONE_LED, 0.0, lead)
        return dataclasses.replace(env, curriculum=dataclasses.replace(counted, lead=lead)), state

    def _start(self, rng: Array, clip: Array, frame: Array, heading: Array) -> Start:
        drawn = jnp.vectorize(lambda key: jax.random.uniform(key, (2,)), signature="()->(n)")(fold(rng, _VIEW))
        view = jnp.minimum(jnp.floor(drawn[..., 0] * self.visual.views), self.visual.views - 1).astype(jnp.int32)
        return self._filmed(clip, frame, heading, view, drawn[..., 1] < getattr(self.curriculum, "lead", 0.0))

    def _filmed(self, clip: Array, frame: Array, heading: Array, view: Array, led: Array) -> VisualStart:
        row = self.library.index(clip, frame)
        qpos = self.library.qpos[row].at[..., :3].add(self.visual.carried[view, row])
        true = turned(self.simulator, qpos, self.library.qvel[row], heading)
        return VisualStart(heading, *true, view, led, self.visual.qpos[view, row], self.visual.qvel[view, row])

    def _task(self, clip: Array, frame: Array, start: Start) -> Task:
        assert isinstance(start, VisualStart)
        known = super()._task(clip, frame, start)
        fields = {field.name: getattr(known, field.name) for field in dataclasses.fields(known)}
        return VisionTask(**fields, view=start.view, led=start.led)

    def _control(self, task: Task, steps: int) -> Array:
        """Feed-forward targets of the estimate so many steps later."""
        assert isinstance(task, VisionTask)
        return self.visual.table.control[task.view, self.library.index(task.clip, task.frame + steps)]

    def _moment(self, sim: SimState, task: Task, torque: Array, previous_action: Array) -> Moment:
        assert isinstance(task, VisionTask)
        known = super()._moment(sim, task, torque, previous_action)
        view, turn = task.view, rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), task.heading)

        def row(steps: int) -> Array:
            return self.library.index(task.clip, task.frame + steps)

        def sight(steps: int) -> VisualFrame:
            return self.visual.at(view, row(steps)).turned(task.heading)

        def carried(steps: int) -> Array:
            return rotation.rotate(turn, self.visual.carried[view, row(steps)])

        def truth(steps: int) -> Stance:
            return self.reference_stance(task.clip, task.frame + steps, task.heading).moved(carried(steps))

        present, target = truth(0), truth(1)
        fields = {field.name: getattr(known, field.name) for field in dataclasses.fields(known)} | {
            "reference": present.body, "target": target.body, "reference_balance": present, "target_balance": target,
            "ahead": truth,
        }  # fmt: skip
        moment = VisualMoment(
            **fields, eye=sight(0).origin[..., 0, :], sight=sight(1), carried=carried(0), wanted=None,
            joints=self.visual.joints, sight_ahead=sight,
        )  # fmt: skip
        return moment if self.expert is None else dataclasses.replace(moment, wanted=self._label(moment, task))

    def _label(self, moment: Moment, task: Task) -> Array:
        """See the term "expert"."""
        assert self.expert is not None
        config, actuated = self.config, self.simulator.actuated
        applied = config.offset(actuated, task.action)
        if config.action == "residual":
            applied = applied + self._control(task, -1)
        before = self.table.control[self.library.index(task.clip, task.frame - 1)]
        wanted = self.expert.target(actuated, moment, applied, before)
        short = wanted - self.target(task, config.smoothing * task.action)
        driven = config.driven(actuated)
        return short[..., driven] / jnp.asarray(config.scales(actuated)[driven], short.dtype)

    def _seen(self, moment: Moment, task: Task, rng: Array, past: Past | None) -> tuple[Observations, Past]:
        groups, entries = dict(self.config.groups), self.config.observations
        before: list[Past | None] = [None, None]
        if past is not None:
            before = [{n: x for n, x in past.items() if not n.startswith(_TRUTH)},
                      {n.removeprefix(_TRUTH): x for n, x in past.items() if n.startswith(_TRUTH)}]  # fmt: skip
        state = {"state": groups.pop("state")}
        obs, kept = observe(state, entries, self._by_sight(moment, task), rng, before[0])
        others, more = observe(groups, entries, moment, fold(rng, _VIEW), before[1])
        return {**obs, **others}, {**kept, **{_TRUTH + name: x for name, x in more.items()}}

    def _by_sight(self, moment: Moment, task: Task) -> Moment:
        """The moment with the estimate in the place of the true motion."""
        assert isinstance(task, VisionTask) and isinstance(moment, VisualMoment)

        def row(steps: int) -> Array:
            return self.library.index(task.clip, task.frame + steps)

        def estimate(steps: int) -> Stance:
            return jax.tree.map(lambda x: x[task.view, row(steps)], self.visual.table.stance).turned(task.heading)

        joints = self.simulator.address.alone.joint_qvel
        present, target = estimate(0), estimate(1)
        return dataclasses.replace(
            moment, reference=present.body, target=target.body, reference_balance=present, target_balance=target,
            target_joint_pos=self.visual.table.joint_pos[task.view, row(1)],
            target_joint_vel=self.visual.qvel[task.view, row(1)][..., joints],
            feed_forward=self._control(task, 0), ahead=estimate, wanted=None,
        )  # fmt: skip


def make_vision(
    library: ClipLibrary,
    simulator: Simulator,
    config: VisionConfig,
    visual: VisualLibrary,
    expert: Expert | None = None,
    keep_lead: float = 0.0,
) -> Vision:
    """The task of following videos of a library's clips.

    Args:
        visual: their videos. expert: who labels states, for the term "expert".
        keep_lead: the first episodes are led by the expert, and this share of them after each iteration (Ross et al.
            2011, DAgger); 0: none.

    Raises:
        ValueError: as ``make_imitation``; videos of other clips.
    """
    if visual.qpos.shape[1:] != library.qpos.shape:
        raise ValueError(
            f"visual: expected videos of {library.qpos.shape[0]} frames, found {visual.qpos.shape[1]} (of nq "
            f"{visual.qpos.shape[2]})"
        )
    if keep_lead > 0 and (expert is None or dict(config.groups).get(EXPERT) != (EXPERT,)):
        raise ValueError(f"keep_lead: expected an expert, and the observation group {EXPERT!r} of the term alone")
    known = make_imitation(library, simulator, config)
    curriculum = VisionCurriculum.of(known.curriculum, 1.0 if keep_lead > 0 else 0.0)
    return Vision(library, known.table, curriculum, simulator, config, visual, expert, keep_lead)
