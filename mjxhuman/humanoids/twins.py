"""The two joint layouts of one body: ball joints and triples of hinges, and their coordinates.

Three hinges x, y, z at one point turn a body by the intrinsic Euler rotation R_x(a) R_y(b) R_z(c) of their angles.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mjxhuman.humanoids.anatomy import describe
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import rotation


def hinge_to_ball_qpos(humanoid: Humanoid, qpos: ArrayLike) -> Array:
    """Coordinates of the ball layout from those of the hinge layout.

    Args:
        humanoid: either twin.
        qpos: (..., 7 + 3 n) for n = nbody - 2 jointed bodies: root position, root quaternion, hinge angles in rad.

    Returns:
        (..., 7 + 4 n): root as given, unit quaternions wxyz.

    Raises:
        ValueError: the humanoid has neither layout, or ``qpos`` another size.
    """
    qpos, n = _checked(humanoid, qpos, 3)
    quat = rotation.from_euler("XYZ", qpos[..., 7:].reshape(*qpos.shape[:-1], n, 3))
    return jnp.concatenate([qpos[..., :7], quat.reshape(*qpos.shape[:-1], 4 * n)], -1)


def ball_to_hinge_qpos(humanoid: Humanoid, qpos: ArrayLike) -> Array:
    """Coordinates of the hinge layout from those of the ball layout.

    Args:
        humanoid: either twin.
        qpos: (..., 7 + 4 n): root position, root quaternion, unit quaternions wxyz.

    Returns:
        (..., 7 + 3 n): root as given, intrinsic XYZ Euler angles in rad, x and z in (-pi, pi], y in [-pi/2, pi/2].

    Raises:
        ValueError: the humanoid has neither layout, or ``qpos`` another size.
    """
    return hinge_coordinates(_checked(humanoid, qpos, 4)[0])


def hinge_coordinates(qpos: Array) -> Array:
    """:func:`ball_to_hinge_qpos` of arrays alone, unchecked, for use inside compiled functions."""
    lead = qpos.shape[:-1]
    angles = rotation.to_euler("XYZ", qpos[..., 7:].reshape(*lead, -1, 4))
    angles = jnp.where(angles <= -jnp.pi, angles + 2 * jnp.pi, angles)
    return jnp.concatenate([qpos[..., :7], angles.reshape(*lead, -1)], -1)


def _checked(humanoid: Humanoid, qpos: ArrayLike, width: int) -> tuple[Array, int]:
    if humanoid.layout not in ("ball", "hinge"):
        raise ValueError(
            f"humanoid {humanoid.name!r}: expected a free root and one ball joint or three hinges x, y, z per body, "
            f"found layout {humanoid.layout!r}"
        )
    qpos, n = jnp.asarray(qpos), humanoid.nbody - 2
    if qpos.ndim == 0 or qpos.shape[-1] != 7 + width * n:
        raise ValueError(
            f"qpos: expected {7 + width * n} coordinates in the {'ball' if width == 4 else 'hinge'} layout of "
            f"{humanoid.name!r}, found shape {qpos.shape}"
        )
    return qpos, n


def to_ball(humanoid: Humanoid) -> Humanoid:
    """The same body with ball joints: masses, inertias, offsets, armature, geoms and ``qpos0`` as in ``humanoid``.

    Joint limits do not carry over, since one ball joint cannot hold three ranges; nor do actuators, sensors and meshes.

    Raises:
        ValueError: the model does not consist of a free root and one ball joint or three hinges along x, y, z per body,
            or the three hinges of a body differ in armature or damping.
    """
    return humanoid if humanoid.layout == "ball" else _twin(humanoid, "ball")


def to_hinge(humanoid: Humanoid) -> Humanoid:
    """The same body with three hinges ``<body>_x``, ``_y``, ``_z`` per body; the converse of :func:`to_ball`.

    Raises:
        ValueError: the model does not consist of a free root and one ball joint or three hinges along x, y, z per body.
    """
    return humanoid if humanoid.layout == "hinge" else _twin(humanoid, "hinge")


@functools.lru_cache(maxsize=64)
def _twin(humanoid: Humanoid, layout: str) -> Humanoid:
    if humanoid.layout not in ("ball", "hinge"):
        raise ValueError(
            f"humanoid {humanoid.name!r}: expected a free root and one ball joint or three hinges x, y, z at the "
            f"origin of every other body, found layout {humanoid.layout!r}"
        )
    source = humanoid.model
    spec = mujoco.MjSpec()
    spec.modelname = f"{humanoid.name}_{layout}"
    spec.compiler.degree = False
    spec.option.timestep = source.opt.timestep
    spec.option.gravity = source.opt.gravity
    nodes = [spec.worldbody]
    for body in range(1, source.nbody):
        node = nodes[source.body_parentid[body]].add_body(
            name=source.body(body).name, pos=source.body_pos[body], quat=source.body_quat[body],
            mass=source.body_mass[body], ipos=source.body_ipos[body], iquat=source.body_iquat[body],
            inertia=source.body_inertia[body], explicitinertial=True,
        )  # fmt: skip
        nodes.append(node)
        _add_joints(node, humanoid, body, layout)
    for geom in range(source.ngeom):
        _copy_geom(nodes[source.geom_bodyid[geom]], source, geom)
    for light in range(source.nlight):
        nodes[source.light_bodyid[light]].add_light(
            type=source.light_type[light], pos=source.light_pos[light], dir=source.light_dir[light],
            diffuse=source.light_diffuse[light], specular=source.light_specular[light],
        )  # fmt: skip
    for signature in source.exclude_signature:
        first, second = (source.body(int(b)).name for b in (signature >> 16, signature & 0xFFFF))
        spec.add_exclude(bodyname1=first, bodyname2=second)
    return describe(spec, f"{humanoid.name}_{layout}", humanoid.stature)


def _add_joints(node: mujoco.MjsBody, humanoid: Humanoid, body: int, layout: str) -> None:
    """A free joint where the source has one, else a ball joint or hinges with the numbers its three axes share."""
    model, name = humanoid.model, humanoid.body_names[body]
    joint, dof = model.body_jntadr[body], model.body_dofadr[body]
    if model.body_dofnum[body] == 6:
        node.add_freejoint(name=model.joint(joint).name)
        return
    shared = {}
    for field in ("armature", "damping"):
        values = getattr(model, f"dof_{field}")[dof : dof + 3].reshape(3, -1)
        if not np.allclose(values, values[0]):
            raise ValueError(f"{humanoid.name}: body {name!r}: expected one {field} for its three axes, found {values}")
        shared[field] = values[0, 0]
    if layout == "ball":
        node.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_BALL, **shared)
        return
    for letter, axis in zip("xyz", np.eye(3), strict=True):
        node.add_joint(name=f"{name}_{letter}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, **shared)


def _copy_geom(node: mujoco.MjsBody, source: mujoco.MjModel, geom: int) -> None:
    """A geom with the same shape, place, colour and contact parameters; a mesh becomes its bounding box."""
    kind, size, pos = mujoco.mjtGeom(source.geom_type[geom]), source.geom_size[geom], source.geom_pos[geom].copy()
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, source.geom_aabb[geom, :3], source.geom_quat[geom])
        kind, size, pos = mujoco.mjtGeom.mjGEOM_BOX, source.geom_aabb[geom, 3:], pos + turned
    material = source.geom_matid[geom]
    node.add_geom(
        name=source.geom(geom).name, type=kind, size=size, pos=pos, quat=source.geom_quat[geom],
        rgba=source.geom_rgba[geom] if material < 0 else source.mat_rgba[material], group=source.geom_group[geom],
        contype=source.geom_contype[geom], conaffinity=source.geom_conaffinity[geom],
        condim=source.geom_condim[geom], friction=source.geom_friction[geom], margin=source.geom_margin[geom],
    )  # fmt: skip
