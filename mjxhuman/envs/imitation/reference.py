"""What is known of a body in one moment, and that of every frame of the clips, looked up instead of computed."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, Int

from mjxhuman.envs.clips import ClipLibrary
from mjxhuman.envs.imitation import observations
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import rotation
from mjxhuman.physics import kinematics
from mjxhuman.physics.batching import map_frames
from mjxhuman.physics.motion import flat_frames, humanoid_tree, unflat_frames
from mjxhuman.physics.simulate import Simulator
from mjxhuman.types import Array, BodyState

#: m, least height of the centre of mass in the time constant of the capture point: a lying body is no pendulum.
LEAST_HEIGHT = 0.2


@struct.dataclass
class Stance:
    """Bodies and balance, world axes.

    The capture point is where a foot must stand to bring the body to rest, of the linear inverted pendulum
    ``c + v sqrt(h / g)`` (Pratt et al. 2006, Humanoids).
    """

    body: BodyState  # of the tracked bodies, in PHC's upright frames
    com: Float[Array, "*b 3"]  # m, centre of mass
    capture_point: Float[Array, "*b 2"]  # m

    def turned(self, angle: Float[Array, "*b"]) -> Stance:
        """Turned about the vertical through the origin by angles in rad."""
        turn = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), angle)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)

        def spun(x: Array, c: Array, s: Array) -> Array:
            across = (c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1])
            return jnp.stack([*across, *(x[..., i] for i in range(2, x.shape[-1]))], -1)

        pos, vel, angvel = (
            spun(x, cosine[..., None], sine[..., None]) for x in (self.body.pos, self.body.vel, self.body.angvel)
        )
        body = BodyState(pos, rotation.multiply(turn[..., None, :], self.body.rot), vel, angvel)
        return Stance(body, spun(self.com, cosine, sine), spun(self.capture_point, cosine, sine))

    def moved(self, offset: Float[Array, "*b 3"]) -> Stance:
        """Moved by offsets in m; velocities stay."""
        body = self.body._replace(pos=self.body.pos + offset[..., None, :])
        return Stance(body, self.com + offset, self.capture_point + offset[..., :2])


@struct.dataclass
class Table:
    """A row for each of the F frames of a library."""

    stance: Stance
    joint_pos: Float[Array, "F nu"]  # rad
    control: Float[Array, "F nu"]  # rad, targets that play the clip on to the next frame: ``feed_forward``


def stance(humanoid: Humanoid, qpos: Float[Array, "*b nq"], qvel: Float[Array, "*b nv"]) -> Stance:
    """Bodies and balance at coordinates and velocities."""
    lead = qpos.shape[:-1]
    found = _frames(humanoid, flat_frames(qpos), flat_frames(qvel))
    return _stance(humanoid, tuple(unflat_frames(x, lead) for x in found))


def make_table(library: ClipLibrary, simulator: Simulator) -> Table:
    """The rows of a library's frames, for a body of a simulator."""
    qpos, qvel, torque = (np.asarray(x) for x in (library.qpos, library.qvel, library.torque))
    start, length = np.asarray(library.start), np.asarray(library.length)
    clip = np.repeat(np.arange(len(start)), length)
    following = np.minimum(np.arange(len(qpos)) + 1, start[clip] + length[clip] - 1)
    ends = tuple((x.T, x[following].T) for x in (qpos, qvel, torque))
    *bodies, joint_pos, control = map_frames(functools.partial(_rows, simulator), (), ends)
    control = np.asarray(control).T
    if library.control is not None:
        control = np.where(np.isfinite(library.control), library.control, control)
    found = tuple(jnp.asarray(np.moveaxis(np.asarray(x), -1, 0)) for x in bodies)
    return Table(
        _stance(simulator.actuated.humanoid, found), jnp.asarray(np.asarray(joint_pos).T), jnp.asarray(control)
    )


def feed_forward(
    library: ClipLibrary, simulator: Simulator, clip: Int[Array, "*b"], frame: Int[Array, "*b"]
) -> Float[Array, "*b nu"]:
    """Targets in rad that play clips back from a frame to the next, without feedback.

    Of plans those that made the motion. Of other clips they are where the springs, at the reference's pose halfway
    through the step, give the torque that inverse dynamics asks of the joints and overcome the damping.
    """
    ends = [library.index(clip, frame + step) for step in (0, 1)]
    arrays = ([x[i] for i in ends] for x in (library.qpos, library.qvel, library.torque))
    target = _playback(simulator, *arrays)
    if library.control is None:
        return target
    planned = library.control[ends[0]]
    return jnp.where(jnp.isfinite(planned), planned, target)


def _playback(simulator: Simulator, qpos: list[Array], qvel: list[Array], torque: list[Array]) -> Array:
    """``feed_forward`` of clips without a plan, from the states and torques (*b, .) at both ends of the step."""
    actuated, dtype = simulator.actuated, qpos[0].dtype
    kp, kd = jnp.asarray(actuated.kp, dtype), jnp.asarray(actuated.kd, dtype)
    joints = simulator.address.alone.joint_qvel
    first, last = (simulator.joint_pos(x) for x in qpos)
    if actuated.servos.axes == 3:
        last = nearest_turn(last, first)
    middle = 0.5 * (first + last)
    supplied = 0.5 * sum(t + kd * v[..., joints] for t, v in zip(torque, qvel, strict=True))
    return middle + supplied / kp


def nearest_turn(rotvec: Float[Array, "*b m"], near: Float[Array, "*b m"]) -> Float[Array, "*b m"]:
    """The same rotations, three numbers each, as rotation vectors at most half a turn from those of ``near``.

    Past half a turn the shortest rotation vector jumps to the other side; a mean across the jump means nothing.
    """
    shape = (*rotvec.shape[:-1], -1, 3)
    vector, goal = rotvec.reshape(shape), near.reshape(shape)
    angle = rotation.safe_norm(vector)[..., None]
    other = vector * jnp.where(angle > 0, 1.0 - 2.0 * np.pi / jnp.where(angle > 0, angle, 1.0), 1.0)
    closer = jnp.sum(jnp.square(other - goal), -1) < jnp.sum(jnp.square(vector - goal), -1)
    return jnp.where(closer[..., None], other, vector).reshape(rotvec.shape)


def _rows(
    simulator: Simulator, qpos: tuple[Array, Array], qvel: tuple[Array, Array], torque: tuple[Array, Array]
) -> tuple[Array, ...]:
    """What ``make_table`` needs of frames (., N) and those after them: bodies, joint angles, targets, (..., N)."""
    bodies = _frames(simulator.actuated.humanoid, qpos[0], qvel[0])
    target = _playback(simulator, *([end.T for end in pair] for pair in (qpos, qvel, torque)))
    return *bodies, simulator.joint_pos(qpos[0].T).T, target.T


def _frames(humanoid: Humanoid, qpos: Array, qvel: Array) -> tuple[Array, ...]:
    """Position, quaternion, linear and angular velocity (B, ., N), centre of mass and capture point (., N)."""
    tree, params = humanoid_tree(humanoid, np.dtype(qpos.dtype))
    at = kinematics.poses(tree, params, qpos)
    angvel, linvel = kinematics.velocities(tree, params, at, qvel)
    com = kinematics.centre_of_mass(tree, params, at)
    momentum, _ = kinematics.momentum(tree, params, at, (angvel, linvel))
    gravity = jnp.sqrt(jnp.sum(jnp.square(params.gravity)))
    fall = jnp.sqrt(jnp.maximum(com[2], LEAST_HEIGHT) / jnp.maximum(gravity, 1e-6))
    capture = com[:2] + momentum[:2] / jnp.sum(params.mass[1:]) * fall
    return at.pos, at.quat, linvel, angvel, com, capture


def _stance(humanoid: Humanoid, found: tuple[Array, ...]) -> Stance:
    """Of arrays (*b, B, .), (*b, .) as ``_frames`` gives them."""
    ids = humanoid.tracked_ids
    rows = slice(1, len(ids) + 1) if ids == tuple(range(1, len(ids) + 1)) else jnp.asarray(ids)
    pos, quat, vel, angvel = (x[..., rows, :] for x in found[:4])
    if humanoid.smpl_frame is not None:
        to_smpl = rotation.conjugate(jnp.asarray(humanoid.smpl_frame, quat.dtype))
        quat = observations.upright(rotation.multiply(quat, to_smpl))
    return Stance(BodyState(pos, quat, vel, angvel), found[4], found[5])
