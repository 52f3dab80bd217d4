"""Receding horizon: plan a little ahead, carry out the first steps, plan again; go back where the body was lost.

``Search.run`` makes a plan. ``Search.control`` is the same planning as a controller: in closed loop with a simulation
that pushes the body, and that cannot be taken back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.physics.engines.c import CEngine
from mjxhuman.physics.simulate import SimState, Simulator
from mjxhuman.planning import sampling, terms
from mjxhuman.planning.reference import Reference
from mjxhuman.rewards.tracking import FAILURE_DISTANCE

#: m of mean error of the judged bodies at which a plan goes back: half way to what counts as lost.
LOST = 0.22


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of the search.

    Attributes:
        samples: futures simulated per improvement.
        improvements: of each horizon, each around the one before.
        horizon: control steps looked ahead.
        spacing: control steps between the knots of a perturbation.
        every: control steps carried out before planning again.
        noise: rad, deviation of a knot times the joint's scale; ``annealing``: factor on it with each improvement.
        decay: of the offsets per replanning, towards feed-forward control.
        rule: how samples become a step, one of ``sampling.RULES``.
        back: s to go back where the body is lost; ``retries``: how often at one place, with twice the samples each
            time, at most eight times as many.
        passes: how often the whole motion is planned, each around the one before.
        give_up: s for which the body may be lost, once nothing helped, before a plan ends there; None: never.
    """

    samples: int = 24
    improvements: int = 2
    horizon: int = 16
    spacing: int = 4
    every: int = 2
    noise: float = 0.08
    annealing: float = 0.6
    decay: float = 0.97
    rule: str = "gauss_newton"
    back: float = 0.8
    retries: int = 6
    passes: int = 1
    give_up: float | None = None


#: Share of the noise that joints get: balance lies in legs and trunk. By the joint's name without its side.
JOINT_SCALE = {
    "Torso": 0.6, "Spine": 0.6, "Chest": 0.6, "Toe": 0.4, "Thorax": 0.3, "Shoulder": 0.5, "Elbow": 0.4,
    "Wrist": 0.2, "Hand": 0.2, "Neck": 0.2, "Head": 0.2,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The state a control step begins with, in float64."""

    qpos: np.ndarray  # (nq,)
    qvel: np.ndarray  # (nv,)
    warmstart: np.ndarray  # (nv,)


@dataclasses.dataclass
class Trail:
    """What has been carried out so far: one more state than controls."""

    states: list[Snapshot]
    ctrl: list[np.ndarray]  # (nu,) rad each
    offsets: list[np.ndarray]  # (H, nu) rad, the plan each state was left with

    def back_to(self, frame: int) -> None:
        """Forget what came after a frame."""
        del self.states[frame + 1 :], self.offsets[frame + 1 :], self.ctrl[frame:]


class Search:
    """Plans one reference after another on one body, with programs that are compiled once."""

    def __init__(
        self, simulator: Simulator, settings: Settings, objective: Mapping[str, terms.Term] | None = None
    ) -> None:
        self.simulator, self.settings = simulator, settings
        humanoid = simulator.actuated.humanoid
        record, servos = simulator.actuated.record, simulator.actuated.servos
        rows = {name: row for row, name in enumerate(humanoid.body_names[1:])}
        feet = tuple(rows[name] for name in record.feet)
        self.evaluated = [rows[name] for name in record.evaluated]
        scale = [JOINT_SCALE.get(record.unsided(name), 1.0) for name in servos.joints]
        self.scale = settings.noise * np.repeat(scale, servos.axes)
        self.basis = sampling.knot_basis(settings.horizon, settings.spacing)
        self.simulated_steps = 0
        at = simulator.address  # the objective knows the body alone, whatever else is simulated
        chosen, rule = dict(objective or terms.TERMS), sampling.RULES[settings.rule]

        def judge(qpos: Array, qvel: Array, offset: Array, wanted: tuple[terms.Features, Any]) -> tuple[Array, Array]:
            """Cost (n,) and share in the next step (n,) of samples (n, H, .)."""
            body = terms.features(humanoid, qpos[..., at.qpos], qvel[..., at.qvel])
            reference, known = wanted
            look = terms.Outlook(body, reference, jnp.moveaxis(offset, -1, 0), feet, known)
            found = terms.residuals(chosen, look)
            return jnp.sum(found * found, 1), rule(found)

        self.judge = jax.jit(judge)
        self._rollout = jax.jit(simulator.rollout)
        self._features = jax.jit(lambda qpos, qvel: terms.features(humanoid, qpos[..., at.qpos], qvel[..., at.qvel]))

    def run(
        self,
        reference: Reference,
        seed: int,
        report: Callable[[int], None] = lambda frame: None,
        start: Snapshot | None = None,
    ) -> Trail:
        """Plan a reference from its first frame to its last, or to where the simulation broke down every time.

        The body begins in ``start``, or in the reference's state; beside objects ``start`` has to say where they are.
        """
        path, around = None, None
        if start is None:
            start = Snapshot(reference.qpos[0], reference.qvel[0], np.zeros(reference.qvel.shape[1]))
        for number in range(self.settings.passes):
            path = self._pass(reference, start, np.random.default_rng([seed, number]), around, report)
            if len(path.ctrl) < reference.frames - 1:
                break
            around = np.array(path.ctrl) - reference.ctrl[: len(path.ctrl)]
        assert path is not None
        return path

    def control(
        self,
        reference: Reference,
        seed: int,
        start: Snapshot,
        pushes: np.ndarray | None = None,
        report: Callable[[int], None] = lambda frame: None,
    ) -> Trail:
        """Follow a reference from a state, planning from wherever the body is; it never goes back.

        Args:
            reference: to follow.
            seed: of the samples.
            start: the state the body begins in.
            pushes: (T - 1, 2) m/s, changes of the root's horizontal velocity before each control step, which the plan
                that is carried out in it does not know of.
            report: called with the frame that was reached.

        Returns:
            What the body did, to the last frame or to where the simulation broke down. States are those that steps
            end with: pushes come after them.
        """
        s, nu = self.settings, self.simulator.actuated.nu
        generator = np.random.default_rng([seed, 0])
        path = Trail([start], [], [np.zeros((s.horizon, nu))])
        while (frame := len(path.ctrl)) < reference.frames - 1:
            offset = self.improve(path.states[-1], reference, frame, path.offsets[-1], s.samples, generator)
            self._carry_out(path, reference, offset, pushes)
            if not np.isfinite(path.states[-1].qpos).all():
                break
            report(len(path.ctrl))
        return path

    def follow(self, ctrl: np.ndarray, start: Snapshot, pushes: np.ndarray | None = None) -> Trail:
        """Carry out controls ``(T - 1, nu)`` from a state, whatever becomes of the body; ``pushes`` as ``control``."""
        path = Trail([start], [], [])
        for k, targets in enumerate(ctrl):
            state = self._step(path.states[-1], targets, None if pushes is None else pushes[k])
            path.ctrl.append(targets)
            path.states.append(state)
            if not np.isfinite(state.qpos).all():
                break
        return path

    def _pass(
        self,
        reference: Reference,
        start: Snapshot,
        generator: np.random.Generator,
        around: np.ndarray | None,
        report: Callable[[int], None],
    ) -> Trail:
        """One pass over the motion, around the offsets ``(T - 1, nu)`` of an earlier one."""
        s, nu = self.settings, self.simulator.actuated.nu
        path = Trail([start], [], [np.zeros((s.horizon, nu))])
        retries, eager_until, close = 0, -1, 0
        while (frame := len(path.ctrl)) < reference.frames - 1:
            offset = path.offsets[-1] if around is None else _renewed(path.offsets[-1], around, frame, s.every)
            samples = s.samples * (2 ** min(retries, 3) if frame < eager_until else 1)
            offset = self.improve(path.states[-1], reference, frame, offset, samples, generator)
            self._carry_out(path, reference, offset)
            frame = len(path.ctrl)
            error = self._error(path.states[-1], reference, frame)
            if error > LOST and retries < s.retries:
                eager_until = frame + 3 * s.every
                retries += 1
                back = max(0, frame - round(s.back / self.simulator.dt))
                path.back_to(back - back % s.every)
            elif error <= LOST and frame >= eager_until:
                retries = 0  # past that place
            elif not np.isfinite(error):
                break
            close = frame if error <= FAILURE_DISTANCE else min(close, len(path.ctrl))
            if s.give_up is not None and (frame - close) * self.simulator.dt > s.give_up:
                break
            report(len(path.ctrl))
        return path

    def improve(
        self,
        state: Snapshot,
        reference: Reference,
        frame: int,
        offset: np.ndarray,
        samples: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Better offsets ``(H, nu)`` for the horizon that begins in ``state`` at ``frame``.

        Each improvement simulates the plan, what it was made of, and perturbations of it; the last one keeps whichever
        future costs least.
        """
        s = self.settings
        targets, wanted = reference.targets(frame, s.horizon), reference.window(frame, s.horizon)
        before: np.ndarray | None = None
        for number in range(s.improvements):
            tried = offset + sampling.draw(generator, samples, self.basis, s.annealing**number * self.scale)
            if before is not None:
                tried[-1] = before
            qpos, qvel, _ = self._futures(state, targets + tried)
            cost, share = self.judge(qpos.astype(np.float32), qvel.astype(np.float32), tried.astype(np.float32), wanted)
            best = tried[int(np.argmin(np.asarray(cost)))]
            if number == s.improvements - 1:
                return best
            offset, before = offset + np.einsum("n,nhj->hj", np.asarray(share, np.float64), tried - offset), best
        return offset

    def _carry_out(
        self, path: Trail, reference: Reference, offset: np.ndarray, pushes: np.ndarray | None = None
    ) -> None:
        """Simulate the first steps of a plan and append them to the path."""
        s, frame = self.settings, len(path.ctrl)
        count = min(s.every, reference.frames - 1 - frame)
        ctrl = reference.targets(frame, count) + offset[:count]
        for k in range(count):
            state = self._step(path.states[-1], ctrl[k], None if pushes is None else pushes[frame + k])
            path.ctrl.append(ctrl[k])
            path.states.append(state)
            left = np.concatenate([offset[k + 1 :], np.repeat(offset[-1:], k + 1, 0)])
            path.offsets.append(s.decay * left)

    def _step(self, state: Snapshot, ctrl: np.ndarray, push: np.ndarray | None) -> Snapshot:
        """The state a control step later, pushed before it."""
        if push is not None and push.any():
            qvel, root = state.qvel.copy(), self.simulator.address.qvel_start
            qvel[root : root + 2] += push
            state = dataclasses.replace(state, qvel=qvel)
        return Snapshot(*(x[0, 0] for x in self._futures(state, ctrl[None, None])))

    def _futures(self, state: Snapshot, ctrl: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States ``(n, H, .)`` after each control step of ``ctrl (n, H, nu)``, all from one state."""
        self.simulated_steps += ctrl.shape[0] * ctrl.shape[1]
        qpos, qvel, warmstart = state.qpos[None], state.qvel[None], state.warmstart[None]
        if isinstance(self.simulator.backend, CEngine):
            return self.simulator.backend.rollout_host(qpos, qvel, warmstart, ctrl)
        same = [jnp.broadcast_to(x[0], (len(ctrl), x.shape[1])) for x in (qpos, qvel, warmstart)]
        first = SimState(same[0], same[1], same[2], jnp.zeros(len(ctrl)))
        states = self._rollout(first, jnp.asarray(ctrl, jnp.float32))
        return tuple(np.asarray(x, np.float64) for x in (states.qpos, states.qvel, states.warmstart))  # type: ignore[return-value]

    def _error(self, state: Snapshot, reference: Reference, frame: int) -> float:
        """Mean distance in m of the judged bodies to the reference; infinite where the simulation broke down."""
        pos = np.asarray(self._features(state.qpos[None].astype(np.float32), state.qvel[None].astype(np.float32)).pos)
        off = np.linalg.norm(pos[..., 0] - reference.features.pos[..., frame], axis=1)[self.evaluated]
        return float(np.mean(off)) if np.all(np.isfinite(off)) else np.inf


def _renewed(offset: np.ndarray, around: np.ndarray, frame: int, every: int) -> np.ndarray:
    """Offsets ``(H, nu)`` whose steps that no plan has seen yet are those of an earlier pass ``(T - 1, nu)``."""
    earlier = around[np.minimum(frame + np.arange(len(offset)), len(around) - 1)]
    return earlier if frame == 0 else np.concatenate([offset[:-every], earlier[-every:]])
