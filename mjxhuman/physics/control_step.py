"""One control step of a body as numbers a network can learn: what goes in, what comes out, how far outcomes differ.

Everything is in the heading frame of the root, so where a body stands and faces makes no difference. The inputs hold
what contact depends on, heights and velocities of the points that may touch the floor, because a network learns that
slowly from joint angles. SuperTrack (Fussell, Bergamin and Holden 2021, ACM TOG 40(6)) does the same in maximal
coordinates; here they are MuJoCo's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mjxhuman.math import rotation
from mjxhuman.physics import kinematics
from mjxhuman.physics.coordinates import Coordinates, coordinates
from mjxhuman.physics.engines.base import PhysicsState, scan
from mjxhuman.physics.motion import flat_frames, humanoid_tree, unflat_frames
from mjxhuman.physics.simulate import Simulator

#: m over which a point goes from hanging in the air to resting on the floor, for the smooth indicator of contact.
_TOUCH = 0.01
#: m up to which heights are told apart, and above which a point's velocity says nothing about contact.
_NEAR, _SLIDING = 0.3, 0.03


class Phase(NamedTuple):
    """Coordinates and velocities (MuJoCo's) of a body, leading axes ``*b``."""

    qpos: Float[Array, "*b nq"]
    qvel: Float[Array, "*b nv"]


@dataclasses.dataclass(frozen=True, eq=False)
class ControlStep:
    """Of the body of a simulator.

    Raises:
        ValueError: there are objects beside the body, or none of its geoms is paired with a floor.
    """

    simulator: Simulator

    def __post_init__(self) -> None:
        model, body = self.simulator.actuated.model, self.simulator.address
        if model.nq != body.nq:
            raise ValueError(f"simulator: expected the body alone, nq {body.nq}, found nq {model.nq} with objects")
        if not len(_contact_points(model)[0]):
            raise ValueError("simulator: expected geoms of the body that are paired with a plane, found none")

    @property
    def coordinates(self) -> Coordinates:
        """Of the body."""
        return coordinates(self.simulator.actuated.humanoid.model)

    def inputs(self, phase: Phase, ctrl: Float[Array, "*b nu"]) -> Float[Array, "*b n"]:
        """What the step depends on, each number of the order of one.

        Root: height, rotation without heading (two columns), velocities. Joints: angles, velocities, lead of targets.
        Bodies: centre of mass, velocities. Contact points: height, whether they touch, speed near the floor.
        """
        simulator, lead = self.simulator, phase.qpos.shape[:-1]
        tree, params = humanoid_tree(simulator.actuated.humanoid, np.dtype(phase.qpos.dtype))
        poses = kinematics.poses(tree, params, flat_frames(phase.qpos))
        angvel, linvel = kinematics.velocities(tree, params, poses, flat_frames(phase.qvel))
        com = kinematics.centre_of_mass(tree, params, poses)
        pos, quat, angvel, linvel, com = (unflat_frames(x, lead) for x in (poses.pos, poses.quat, angvel, linvel, com))
        height, speed = self._points(pos, quat, angvel, linvel)
        sliding = jax.nn.sigmoid((_SLIDING - height) / (2 * _TOUCH))
        at = simulator.address.alone
        root, turn = phase.qpos[..., at.root_pos], self._turn(phase)
        joints = simulator.joint_pos(phase.qpos)
        ahead = ctrl - joints
        if simulator.actuated.servos.axes == 3:
            ahead = ahead - 2 * jnp.pi * jnp.round(ahead / (2 * jnp.pi))
        columns = jnp.swapaxes(rotation.to_matrix(phase.qpos[..., at.root_quat]), -1, -2)[..., :2, :]
        parts = (
            root[..., 2:], turn(columns), turn(phase.qvel[..., None, at.root_linvel]), phase.qvel[..., at.root_angvel],
            joints, 0.1 * phase.qvel[..., at.joint_qvel], 3.0 * ahead, turn((com - root)[..., None, :]),
            turn(linvel[..., 2:, :]), jnp.clip(height / _NEAR, -1.0, 1.0), jax.nn.sigmoid(-height / _TOUCH),
            turn(speed * sliding[..., None]),
        )  # fmt: skip
        return jnp.concatenate(parts, -1)

    def outputs(self, before: Phase, after: Phase) -> Float[Array, "*b m"]:
        """What a step did: the change of the velocity, and of the coordinates beyond the mean velocity's."""
        change = after.qvel - before.qvel
        beyond = self._tangent(before, after) - 0.5 * self.simulator.dt * (before.qvel + after.qvel)
        return jnp.concatenate([self._heading(before, x, forth=True) for x in (change, beyond)], -1)

    def apply(self, before: Phase, outputs: Float[Array, "*b m"]) -> Phase:
        """The phase that a step with such ``outputs`` leads to; the inverse of ``outputs``."""
        change, beyond = (self._heading(before, x, forth=False) for x in jnp.split(outputs, 2, -1))
        qvel = before.qvel + change
        moved = 0.5 * self.simulator.dt * (before.qvel + qvel) + beyond
        return Phase(self.coordinates.displaced(before.qpos, moved), qvel)

    def difference(self, a: Phase, b: Phase) -> Float[Array, "*b m"]:
        """From a to b: tangent of the coordinates, velocities."""
        return jnp.concatenate([self._tangent(a, b), b.qvel - a.qvel], -1)

    def _tangent(self, a: Phase, b: Phase) -> Array:
        found = self.coordinates.tangent(flat_frames(a.qpos), flat_frames(b.qpos))
        return unflat_frames(found, a.qpos.shape[:-1])

    def _points(self, pos: Array, quat: Array, angvel: Array, linvel: Array) -> tuple[Array, Array]:
        """Heights (*b, P) in m over the floor and velocities (*b, P, 3) of the contact points."""
        body, local, radius = _contact_points(self.simulator.actuated.model)
        turned = quat[..., body, :]
        arm = rotation.rotate(turned, jnp.broadcast_to(jnp.asarray(local, pos.dtype), (*turned.shape[:-1], 3)))
        height = pos[..., body, 2] + arm[..., 2] - jnp.asarray(radius, pos.dtype)
        return height, linvel[..., body, :] + jnp.cross(angvel[..., body, :], arm)

    def _turn(self, phase: Phase) -> Callable[[Array], Array]:
        """World vectors (*b, n, 3) in the heading frame, flat (*b, 3 n)."""
        cosine, sine = (x[..., None] for x in self._facing(phase))

        def turn(x: Array) -> Array:
            planes = cosine * x[..., 0] + sine * x[..., 1], cosine * x[..., 1] - sine * x[..., 0], x[..., 2]
            return jnp.stack(planes, -1).reshape(*x.shape[:-2], -1)

        return turn

    def _heading(self, phase: Phase, change: Array, *, forth: bool) -> Array:
        """Changes of coordinates or velocities (*b, nv) with the root's linear ones turned into the heading frame or
        back; all others are in axes of bodies already."""
        cosine, sine = self._facing(phase)
        sine = sine if forth else -sine
        x, y = change[..., 0], change[..., 1]
        return jnp.concatenate([jnp.stack([cosine * x + sine * y, cosine * y - sine * x], -1), change[..., 2:]], -1)

    def _facing(self, phase: Phase) -> tuple[Array, Array]:
        """Cosine and sine (*b) of the heading: of the root's axis that is level in the rest pose."""
        ahead = _level_axis(self.simulator.actuated.humanoid.model)
        quat = phase.qpos[..., self.simulator.address.alone.root_quat]
        axis = rotation.rotate(quat, jnp.broadcast_to(jnp.asarray(ahead, quat.dtype), (*quat.shape[:-1], 3)))
        square = axis[..., 0] ** 2 + axis[..., 1] ** 2
        vertical = square < 1e-12
        scale = jax.lax.rsqrt(jnp.where(vertical, 1.0, square))
        return jnp.where(vertical, 1.0, axis[..., 0] * scale), jnp.where(vertical, 0.0, axis[..., 1] * scale)


@dataclasses.dataclass(frozen=True, eq=False)
class StepEngine:
    """An engine made of a function that takes phases (n, .) and controls (n, nu) one control step further."""

    step: Callable[[Phase, Array], Phase]

    def advance(self, variant: Int[Array, " n"], state: PhysicsState, ctrl: Float[Array, "n nu"]) -> PhysicsState:
        """See ``Engine.advance``."""
        after = self.step(Phase(state.qpos, state.qvel), ctrl)
        return PhysicsState(after.qpos, after.qvel, state.warmstart)

    def rollout(self, variant: Int[Array, " n"], state: PhysicsState, ctrl: Float[Array, "n H nu"]) -> PhysicsState:
        """See ``Engine.rollout``."""
        return scan(self, variant, state, ctrl)


def _contact_points(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Body (P,), place in it (P, 3) m and radius (P,) m of the geoms that are paired with the floor."""
    plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    pairs = zip(model.pair_geom1, model.pair_geom2, strict=True)
    geoms = np.array([b if plane[a] else a for a, b in pairs if plane[a] or plane[b]], int)
    return model.geom_bodyid[geoms], model.geom_pos[geoms], model.geom_size[geoms, 0]


def _level_axis(model: mujoco.MjModel) -> np.ndarray:
    """The axis (3,) of the root that points ahead, the world's x, at the model's rest pose."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, model.qpos0[3:7])
    return matrix.reshape(3, 3)[0]
