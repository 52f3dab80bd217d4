"""Forward simulation of an actuated humanoid: a state and controls in, the state a control step later out.

``Simulator.advance``, and ``rollout`` for a whole horizon, whichever engine runs below: pure, for any leading batch
axes, inside ``jit``, ``scan`` and ``vmap``. Nothing is remembered between calls, so states may be kept, copied and
advanced in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mjxhuman.humanoids.actuated import Actuated
from mjxhuman.humanoids.address import BodyAddress
from mjxhuman.math import rotation
from mjxhuman.physics.engines.base import Engine, PhysicsState
from mjxhuman.physics.engines.c import CEngine
from mjxhuman.physics.engines.mjx import MjxEngine
from mjxhuman.runs.environment import cpu_count
from mjxhuman.types import Array

#: "c": C MuJoCo on the CPU's threads, float64 inside; "jax": MJX, differentiable, on any device; "warp": MuJoCo Warp.
ENGINES = ("c", "jax", "warp")

#: The fastest engine of each of JAX's platforms; "jax" elsewhere.
_FASTEST = {"cpu": "c", "gpu": "warp", "cuda": "warp"}


@flax.struct.dataclass
class SimState:
    """All that the next step depends on, environments first: of the body, then of the objects of its scene.

    A state the engine could not step (not finite, or huge) is NaN throughout. Write ``qvel`` to push the body: the
    velocity of its root is ``qvel[..., address.root_linvel]`` (m/s, world), a push of J newton-seconds changes it by
    J / mass.
    """

    qpos: Float[Array, "*b nq"]
    qvel: Float[Array, "*b nv"]
    warmstart: Float[Array, "*b nv"]  # rad/s^2, the last acceleration: where the contact solver starts
    time: Float[Array, "*b"]  # s since ``init``
    variant: Int[Array, "*b"] | None = None  # which of the simulator's models; None: i % their number, see ``models``


@dataclasses.dataclass(frozen=True, eq=False)
class Simulator:
    """A body in an engine. Hashed by identity, so it can be a static argument of compiled functions.

    Build it with ``make_simulator``.
    """

    actuated: Actuated
    models: tuple[mujoco.MjModel, ...]  # environment i runs models[i % len(models)] where its state does not say which
    engine: str
    substeps: int  # physics steps per control step
    backend: Engine

    @property
    def dt(self) -> float:
        """Seconds per control step."""
        return float(self.actuated.model.opt.timestep) * self.substeps

    @property
    def address(self) -> BodyAddress:
        """Where the body is in the states."""
        return self.actuated.address

    def init(self, qpos: ArrayLike, qvel: ArrayLike | None = None, variant: ArrayLike | None = None) -> SimState:
        """A state at time 0 from the body's (*b, nq) coordinates and (*b, nv) velocities (default: at rest), float32.

        Objects of a scene rest where their model puts them; ``variant`` (*b) says which model that is.

        Raises:
            ValueError: a last axis of another size, or variants of another shape than the leading axes.
        """
        model, body, qpos = self.actuated.model, self.address, jnp.asarray(qpos, jnp.float32)
        lead = qpos.shape[:-1]
        qvel = jnp.zeros((*lead, body.nv), jnp.float32) if qvel is None else jnp.asarray(qvel, jnp.float32)
        for name, array, size in (("qpos", qpos, body.nq), ("qvel", qvel, body.nv)):
            if array.shape != (*lead, size):
                raise ValueError(f"{name}: expected shape {(*lead, size)}, found {array.shape}")
        variant = None if variant is None else jnp.asarray(variant, jnp.int32)
        if variant is not None and variant.shape != lead:
            raise ValueError(f"variant: expected shape {lead}, found {variant.shape}")
        if model.nq > body.nq:
            places = jnp.asarray(np.array([m.qpos0 for m in self.models]), jnp.float32)
            whole = places[self._variant(int(np.prod(lead)), variant)].reshape(*lead, model.nq)
            qpos = whole.at[..., body.qpos].set(qpos)
        if model.nv > body.nv:
            qvel = jnp.zeros((*lead, model.nv), jnp.float32).at[..., body.qvel].set(qvel)
        return SimState(qpos, qvel, jnp.zeros_like(qvel), jnp.zeros(lead, jnp.float32), variant)

    def advance(self, state: SimState, ctrl: Array) -> SimState:
        """The state one control step later under constant targets ``ctrl`` (*b, nu), rad (see ``Actuated``).

        Raises:
            ValueError: ``ctrl`` does not have the state's leading axes and nu targets.
        """
        lead = state.qpos.shape[:-1]
        if ctrl.shape != (*lead, self.actuated.nu):
            raise ValueError(f"ctrl: expected shape {(*lead, self.actuated.nu)}, found {ctrl.shape}")
        rows = _rows(state)
        controls = ctrl.astype(state.qpos.dtype).reshape(-1, ctrl.shape[-1])
        stepped = self.backend.advance(self._variant(len(controls), state.variant), rows, controls)
        qpos, qvel, warmstart = (x.reshape(*lead, -1) for x in stepped)
        return SimState(qpos, qvel, warmstart, state.time + self.dt, state.variant)

    def rollout(self, state: SimState, ctrl: Array) -> SimState:
        """The states (*b, H, ...) after each of H control steps under targets ``ctrl`` (*b, H, nu), in one call.

        They are those of repeated ``advance``. Under engine "c", whose ``rollout_host`` does the same for NumPy arrays
        in float64, the whole horizon is one call of MuJoCo.

        Raises:
            ValueError: ``ctrl`` does not have the state's leading axes, a time axis and nu targets.
        """
        lead = state.qpos.shape[:-1]
        if ctrl.ndim != len(lead) + 2 or (*ctrl.shape[:-2], ctrl.shape[-1]) != (*lead, self.actuated.nu):
            expected = (*lead, "steps", self.actuated.nu)
            raise ValueError(f"ctrl: expected shape {expected}, found {ctrl.shape}")
        controls = ctrl.astype(state.qpos.dtype).reshape(-1, *ctrl.shape[-2:])
        states = self.backend.rollout(self._variant(len(controls), state.variant), _rows(state), controls)
        qpos, qvel, warmstart = (x.reshape(*lead, *x.shape[1:]) for x in states)
        steps = jnp.arange(1, ctrl.shape[-2] + 1, dtype=state.time.dtype)
        variant = None if state.variant is None else jnp.broadcast_to(state.variant[..., None], ctrl.shape[:-1])
        return SimState(qpos, qvel, warmstart, state.time[..., None] + steps * self.dt, variant)

    def body(self, state: SimState) -> tuple[Array, Array]:
        """The body's coordinates (*b, nq) and velocities (*b, nv), without those of objects."""
        return state.qpos[..., self.address.qpos], state.qvel[..., self.address.qvel]

    def joint_pos(self, qpos: Array) -> Array:
        """What the controls are targets of, (*b, nu), at the body's coordinates ``qpos`` (*b, nq).

        Rotation vectors of ball joints, angles of hinges, rad.
        """
        joints = qpos[..., self.address.alone.joint_qpos]
        if self.actuated.servos.axes == 1:
            return joints
        quat = joints.reshape(*qpos.shape[:-1], -1, 4)
        return rotation.log(rotation.canonical(quat)).reshape(*qpos.shape[:-1], -1)

    def torque(self, state: SimState, ctrl: Array) -> Array:
        """Torques (*b, nu) of the capped springs at this state, N m; the passive damping comes on top."""
        lead, dtype = ctrl.shape[:-1], state.qpos.dtype
        variant = self._variant(int(np.prod(lead)), state.variant)
        kp = jnp.asarray([m.actuator_gainprm[:, 0] for m in self.models], dtype)[variant].reshape(ctrl.shape)
        cap = jnp.asarray([m.actuator_forcerange[:, 1] for m in self.models], dtype)[variant].reshape(ctrl.shape)
        error = ctrl - self.joint_pos(self.body(state)[0])
        if self.actuated.servos.axes == 3:
            error = error - 2 * jnp.pi * jnp.round(error / (2 * jnp.pi))
        return jnp.clip(kp * error, -cap, cap)

    def _variant(self, size: int, stated: Array | None) -> Array:
        """Which model each of ``size`` environments runs, (size,) int."""
        return jnp.arange(size) % len(self.models) if stated is None else stated.reshape(-1)


def _rows(state: SimState) -> PhysicsState:
    """A state's arrays with one axis of environments."""
    return PhysicsState(*(x.reshape(-1, x.shape[-1]) for x in (state.qpos, state.qvel, state.warmstart)))


def make_simulator(
    actuated: Actuated,
    engine: str | None = None,
    control_hz: float = 30.0,
    variants: Sequence[mujoco.MjModel] | None = None,
) -> Simulator:
    """A simulator of a body.

    Args:
        actuated: from ``actuated_humanoid``.
        engine: one of ``ENGINES``; None picks the fastest for JAX's default device.
        control_hz: control steps per second; the physics rate must be a multiple.
        variants: models of the same body with other numbers (``randomized_models``), or among other objects
            (``scenes.compose``). An environment runs the one that its state names (``SimState.variant``); where states
            name none, environment i of a call runs number ``i % len(variants)``, counted over its leading axes (those
            that ``vmap`` adds do not count).

    Raises:
        ValueError: unknown engine, a control rate the physics rate is no multiple of, or variants of other sizes.
        ImportError: engine "warp" without the package warp-lang.
    """
    engine = engine or _FASTEST.get(jax.default_backend(), "jax")
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {ENGINES}, found {engine!r}")
    ratio = 1.0 / (float(actuated.model.opt.timestep) * control_hz)
    substeps = round(ratio)
    if substeps < 1 or not np.isclose(ratio, substeps, rtol=1e-6):
        raise ValueError(
            f"control_hz: expected a divisor of the physics rate {ratio * control_hz:g}, found {control_hz}"
        )
    models = tuple(variants) if variants else (actuated.model,)
    backend: Engine = CEngine(models, substeps, cpu_count()) if engine == "c" else MjxEngine(models, substeps, engine)
    return Simulator(actuated, models, engine, substeps, backend)
