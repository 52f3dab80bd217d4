"""``analyse``: the forces and torques of a motion, as the report shows them."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.humanoids.address import body_address
from mjxhuman.physics import kinematics
from mjxhuman.physics.anatomy import ContactParams, Contacts, make_contacts
from mjxhuman.physics.arrays import cross
from mjxhuman.physics.batching import map_frames
from mjxhuman.physics.contact_dynamics import external_support, support
from mjxhuman.physics.contact_points import body_kinematics
from mjxhuman.physics.motion import flat_frames, humanoid_tree, unflat_frames
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.runs.progress import compiling
from mjxhuman.scenes.carrier import carrier
from mjxhuman.scenes.surface import Surface, checked
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Array, Dynamics, Motion


def _frames(
    tree: Tree,
    contacts: Contacts,
    opposed: bool,
    params: BodyParams,
    numbers: ContactParams,
    surface: Surface,
    qpos: Array,
    qvel: Array,
    qacc: Array,
) -> dict[str, Array]:
    state = body_kinematics(tree, params, qpos, qvel)
    s = support(tree, params, contacts, numbers, surface, state, qvel, qacc, opposed=opposed)
    linear, _ = kinematics.momentum(tree, params, state.poses, (state.angvel, state.linvel))
    grf, cop, loads = [], [], s.load
    for group in range(len(contacts.group_names)):
        index = np.array([i for i, g in enumerate(contacts.contact_groups) if g == group])
        load = loads[index]
        total = jnp.sum(load, 0)
        grf.append(jnp.sum(s.force[index], 0))
        centre = jnp.sum(load[:, None] * s.touch.point[index], 0) / jnp.maximum(total, 1e-6)
        cop.append(jnp.where(total > 1e-3 * s.weight, centre, 0.0))
    root = state.poses.pos[tree.root]
    about_root = s.residual_moment + cross((s.com - root)[None], s.residual_force[None])[0]
    return {
        "root_force": s.required_force,
        "root_torque": s.required_torque,
        "joint_torque": s.joint_moment,
        "grf": jnp.stack(grf),
        "cop": jnp.stack(cop),
        "residual": jnp.concatenate([s.residual_force, about_root]),
        "external_support": external_support(s),
        "com": s.com,
        "com_vel": linear / jnp.sum(params.mass),
        "com_acc": s.com_acc,
        "power": jnp.sum(jnp.maximum(jnp.sum(s.joint_moment[2:] * s.joint_speed[2:], 1), 0.0), 0),
    }


def _joint_forces(
    tree: Tree,
    contacts: Contacts,
    params: BodyParams,
    numbers: ContactParams,
    surface: Surface,
    qpos: Array,
    qvel: Array,
    qacc: Array,
) -> Array:
    state = body_kinematics(tree, params, qpos, qvel)
    return support(tree, params, contacts, numbers, surface, state, qvel, qacc, opposed=False).joint_force


def servo_torques(motion: Motion, surface: Surface | None = None) -> Float[np.ndarray, "*b T nu"]:
    """What servos have to supply for a motion, contact forces applied, ``(*b, T, nu)`` N m.

    Of ball joints about the child's axes, in the order of the bodies, without rotor inertia; of other joints in their
    own coordinates, with it. The feet do not press against each other as people's do.

    Raises:
      ValueError: as ``analyse``.
    """
    lead = motion.qpos.shape[:-1]
    if motion.humanoid.layout == "ball":
        return np.asarray(analyse(motion, surface, opposed=False).joint_torque)[..., 2:, :].reshape(*lead, -1)
    dtype = np.dtype(motion.qpos.dtype)
    tree, params = humanoid_tree(motion.humanoid, dtype)
    contacts, numbers = make_contacts(motion.humanoid, dtype)
    arrays = tuple(flat_frames(np.asarray(x)) for x in (motion.qpos, motion.qvel, motion.qacc))
    fn = functools.partial(_joint_forces, tree, contacts)
    force = unflat_frames(map_frames(fn, (params, numbers, checked(surface)), arrays), lead)
    return np.asarray(force)[..., body_address(motion.humanoid.model, motion.humanoid.body_names[1]).joint_qvel]


def analyse(
    motion: Motion, surface: Surface | None = None, *, scene: Scene | None = None, opposed: bool = True
) -> Dynamics:
    """Contact-consistent inverse dynamics of a motion of a body with contact points: of SMPL's topology or a robot.

    See ``mjxhuman.physics.contact_dynamics`` for the method. Frames that are not valid are computed like any other.

    Args:
      motion: ``(T, ...)`` or ``(B, T, ...)``.
      surface: what may carry the body (see ``mjxhuman.scenes``); default the level floor z = 0.
      scene: instead of a surface: floor and furniture, which stands where it is. Buttocks and thighs may then rest too,
        and feet and the rest of the body share the load so that the joints do least (``load_sharing.spare_effort``).
      opposed: whether the feet push against each other as people's do (``load_sharing.oppose_feet``). Motion does
        not tell; of a body that a simulator moves by servos it is not to be expected.

    Raises:
      ValueError: the humanoid has no contact points (its body is not in the registry), the surface is none, or there
        are both surface and scene.
    """
    surface = carrier(surface, scene)
    dtype = np.dtype(motion.qpos.dtype)
    tree, params = humanoid_tree(motion.humanoid, dtype)
    contacts, numbers = make_contacts(motion.humanoid, dtype, scene is not None)
    lead = motion.qpos.shape[:-1]
    arrays = tuple(flat_frames(np.asarray(x)) for x in (motion.qpos, motion.qvel, motion.qacc))
    with compiling("forces and torques"):
        out = map_frames(functools.partial(_frames, tree, contacts, opposed), (params, numbers, surface), arrays)
    return Dynamics(**{name: unflat_frames(x, lead) for name, x in out.items()}, contact_names=contacts.group_names)
