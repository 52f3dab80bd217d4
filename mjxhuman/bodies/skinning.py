"""Vertices and joints of posed SMPL, SMPL-H and SMPL-X bodies, called the way the package ``smplx`` is.

Linear blend skinning with shape, expression and pose blend shapes (Loper et al. 2015; Romero et al. 2017; Pavlakos et
al. 2019) as one pure function: batched, differentiable, for ``jit`` and ``vmap``. Frames and units as in
``bodies.smpl``: metres, SMPL's axes (x left, y up, z forward), rotations in radians.

    model = load_skinned_model("SMPLX_NEUTRAL.npz", num_pca_comps=12)
    body = model(betas=betas, global_orient=orient, body_pose=pose, left_hand_pose=left, transl=transl)
    body.vertices, body.joints

Parameters have smplx's names, shapes and defaults (missing ones are zero), keywords only. ``joints`` are those of the
kinematic tree, the first 24, 52 or 55 of smplx's: what smplx appends to them are vertices of the mesh.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Float

from mjxhuman.bodies.smpl import SmplModel, load_smpl_model, read_arrays, shape_count
from mjxhuman.math import rotation
from mjxhuman.types import Array

_einsum = functools.partial(jnp.einsum, precision="highest")  # TF32 on a GPU would cost millimetres

_FINGERS = 15  # joints of a hand
_HANDS = (("left_hand_pose", _FINGERS), ("right_hand_pose", _FINGERS))
#: Parameters that hold the rotations of each model's joints, in the order of its joints, and how many joints each.
_PARTS: dict[str, tuple[tuple[str, int], ...]] = {
    "SMPL": (("global_orient", 1), ("body_pose", 23)),
    "SMPL-H": (("global_orient", 1), ("body_pose", 21), *_HANDS),
    "SMPL-X": (
        ("global_orient", 1), ("body_pose", 21), ("jaw_pose", 1), ("leye_pose", 1), ("reye_pose", 1), *_HANDS,
    ),
}  # fmt: skip


@struct.dataclass
class SkinnedBody:
    """A posed body; ``vertices`` is None where they were not asked for."""

    vertices: Float[Array, "*b V 3"] | None  # m
    joints: Float[Array, "*b K 3"]  # m


@struct.dataclass
class SkinnedModel:
    """A model file on the device: V vertices, K joints, S shape and E expression coefficients, C hand components."""

    template: Float[Array, "V 3"]  # m
    shape_directions: Float[Array, "V 3 S"]  # m
    expression_directions: Float[Array, "V 3 E"]  # m; E = 0 for models without a face
    pose_directions: Array  # (V, 3, 9 (K - 1)) m
    joint_regressor: Float[Array, "K V"]
    weights: Float[Array, "V K"]
    hand_mean: Float[Array, "2 45"]  # rad, left and right; zero for a flat hand
    hand_components: Float[Array, "2 C 45"]
    kind: str = struct.field(pytree_node=False)
    parents: tuple[int, ...] = struct.field(pytree_node=False)  # -1 for the root
    use_pca: bool = struct.field(pytree_node=False)

    def __call__(
        self,
        *,
        betas: ArrayLike | None = None,
        global_orient: ArrayLike | None = None,
        body_pose: ArrayLike | None = None,
        transl: ArrayLike | None = None,
        left_hand_pose: ArrayLike | None = None,
        right_hand_pose: ArrayLike | None = None,
        jaw_pose: ArrayLike | None = None,
        leye_pose: ArrayLike | None = None,
        reye_pose: ArrayLike | None = None,
        expression: ArrayLike | None = None,
        return_verts: bool = True,
        pose2rot: bool = True,
    ) -> SkinnedBody:
        """Pose the body.

        Args:
          betas: (*b, S') shape coefficients, at most ``num_betas``.
          global_orient, body_pose, jaw_pose, leye_pose, reye_pose: (*b, 3 n) rotation vectors of n joints; 69 numbers
            are SMPL's ``body_pose``, 63 that of the others.
          transl: (*b, 3) m, added to everything.
          left_hand_pose, right_hand_pose: (*b, C) coefficients where the model was loaded with ``use_pca``, else
            (*b, 45) rotation vectors; the mean pose of the file is added unless it was loaded with ``flat_hand_mean``.
          expression: (*b, E') coefficients (SMPL-X).
          return_verts: False leaves the vertices out.
          pose2rot: False: poses are matrices (*b, n, 3, 3), hands as they are, without components and mean.

        Raises:
          ValueError: a parameter that this model lacks, or of another shape.
        """
        poses = {
            "global_orient": global_orient, "body_pose": body_pose, "jaw_pose": jaw_pose, "leye_pose": leye_pose,
            "reye_pose": reye_pose, "left_hand_pose": left_hand_pose, "right_hand_pose": right_hand_pose,
        }  # fmt: skip
        rotations = self._rotations(poses, pose2rot)
        shaped = self.template + _blend("betas", betas, self.shape_directions)
        shaped = shaped + _blend("expression", expression, self.expression_directions)
        rest = _einsum("kv,...vi->...ki", self.joint_regressor, shaped)
        world, joints = _pose_tree(rotations, rest, self.parents)
        shift = jnp.zeros(3) if transl is None else _checked("transl", transl, (3,))[..., None, :]
        if not return_verts:
            return SkinnedBody(None, joints + shift)
        bent = (rotations[..., 1:, :, :] - jnp.eye(3)).reshape(*rotations.shape[:-3], -1)
        shaped = shaped + _einsum("vip,...p->...vi", self.pose_directions, bent)
        offset = joints - _einsum("...kij,...kj->...ki", world, rest)
        turn = _einsum("vk,...kij->...vij", self.weights, world)
        vertices = _einsum("...vij,...vj->...vi", turn, shaped) + _einsum("vk,...ki->...vi", self.weights, offset)
        return SkinnedBody(vertices + shift, joints + shift)

    def _rotations(self, poses: Mapping[str, ArrayLike | None], pose2rot: bool) -> Array:
        """Local rotation matrices of all joints, (*b, K, 3, 3)."""
        parts = _PARTS[self.kind]
        for name in poses.keys() - dict(parts).keys():
            if poses[name] is not None:
                raise ValueError(f"{name}: {self.kind} has no such joints")
        found = []
        for name, count in parts:
            pose = poses[name]
            if not pose2rot:
                found.append(jnp.eye(3) if pose is None else _checked(name, pose, (count, 3, 3)))
                if pose is None:
                    found[-1] = jnp.broadcast_to(found[-1], (count, 3, 3))
                continue
            if name in dict(_HANDS):
                pose = self._hand(name, pose)
            vectors = jnp.zeros(3 * count) if pose is None else _checked(name, pose, (3 * count,))
            vectors = vectors.reshape(*vectors.shape[:-1], count, 3)
            found.append(rotation.to_matrix(rotation.exp(vectors)))
        batch = jnp.broadcast_shapes(*(part.shape[:-3] for part in found))
        return jnp.concatenate([jnp.broadcast_to(part, (*batch, *part.shape[-3:])) for part in found], axis=-3)

    def _hand(self, name: str, pose: ArrayLike | None) -> Array:
        """Rotation vectors (*b, 45) of a hand."""
        side = [part for part, _ in _HANDS].index(name)
        if pose is None:
            return self.hand_mean[side]
        if not self.use_pca:
            return self.hand_mean[side] + _checked(name, pose, (3 * _FINGERS,))
        components = self.hand_components[side]
        return self.hand_mean[side] + _einsum("...c,cp->...p", _checked(name, pose, components.shape[:1]), components)


def _checked(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    value = jnp.asarray(value)
    if value.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: expected shape (*b, {', '.join(map(str, shape))}), found {value.shape}")
    return value


def _blend(name: str, value: ArrayLike | None, directions: Array) -> Array:
    """Sum of ``directions`` (V, 3, S) weighed by coefficients (*b, S'), S' at most S: (*b, V, 3), or 0 without them."""
    if value is None:
        return jnp.zeros((), directions.dtype)
    value = jnp.asarray(value)
    if value.ndim == 0 or value.shape[-1] > directions.shape[-1]:
        most = directions.shape[-1]
        raise ValueError(f"{name}: expected shape (*b, S) with at most {most} coefficients, found {value.shape}")
    return _einsum("vis,...s->...vi", directions[..., : value.shape[-1]], value)


def _pose_tree(rotations: Array, rest: Array, parents: tuple[int, ...]) -> tuple[Array, Array]:
    """World rotations (*b, K, 3, 3) and positions (*b, K, 3) of the joints, one level of the tree after the other."""
    depth = [0]
    for parent in parents[1:]:
        depth.append(depth[parent] + 1)
    batch = jnp.broadcast_shapes(rotations.shape[:-3], rest.shape[:-2])
    world = jnp.broadcast_to(rotations, (*batch, *rotations.shape[-3:]))
    place = jnp.broadcast_to(rest, (*batch, *rest.shape[-2:]))
    for level in range(1, max(depth) + 1):
        here = np.flatnonzero(np.array(depth) == level)
        up = np.array(parents)[here]
        bone = rest[..., here, :] - rest[..., up, :]
        above = world[..., up, :, :]
        turned = _einsum("...kij,...kjl->...kil", above, rotations[..., here, :, :])
        world = world.at[..., here, :, :].set(turned)
        place = place.at[..., here, :].set(place[..., up, :] + _einsum("...kij,...kj->...ki", above, bone))
    return world, place


def load_skinned_model(
    path: str | pathlib.Path,
    *,
    num_betas: int = 10,
    num_expression_coeffs: int = 10,
    use_pca: bool = True,
    num_pca_comps: int = 6,
    flat_hand_mean: bool = False,
    dtype: DTypeLike = jnp.float32,
) -> SkinnedModel:
    """Read a model file for skinning; the options and their defaults are those of smplx.

    Args:
      path: ``.npz`` model file, see ``bodies.smpl``; it also needs ``posedirs`` and, for models with fingers,
        ``hands_componentsl``, ``hands_componentsr``, ``hands_meanl`` and ``hands_meanr``.
      num_betas, num_expression_coeffs: coefficients kept, at most what the file has.
      use_pca: hand poses are ``num_pca_comps`` coefficients instead of rotation vectors.
      flat_hand_mean: hand poses count from the flat hand, not from the file's mean.
      dtype: of the arrays.

    Raises:
      FileNotFoundError, ValueError: as ``load_smpl_model``.
    """
    model = load_smpl_model(path)
    joints, vertices = model.joint_regressor.shape
    shapes: dict[str, tuple[int, ...]] = {"posedirs": (vertices, 3, 9 * (joints - 1))}
    mean, components = np.zeros((2, 3 * _FINGERS)), np.zeros((2, 0, 3 * _FINGERS))
    if model.kind != "SMPL":
        shapes |= {f"hands_components{side}": (3 * _FINGERS, 3 * _FINGERS) for side in "lr"}
        shapes |= {f"hands_mean{side}": (3 * _FINGERS,) for side in "lr"}
    arrays = read_arrays(pathlib.Path(model.path), tuple(shapes))
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise ValueError(f"{path}: {key}: expected shape {shape}, found {arrays[key].shape}")
    if model.kind != "SMPL":
        components = np.stack([arrays[f"hands_components{side}"][:num_pca_comps] for side in "lr"])
        if not flat_hand_mean:
            mean = np.stack([arrays[f"hands_mean{side}"] for side in "lr"])
    shape, expression = _directions(model)
    as_array = functools.partial(jnp.asarray, dtype=dtype)
    return SkinnedModel(
        template=as_array(model.template),
        shape_directions=as_array(shape[..., :num_betas]),
        expression_directions=as_array(expression[..., :num_expression_coeffs]),
        pose_directions=as_array(arrays["posedirs"]),
        joint_regressor=as_array(model.joint_regressor),
        weights=as_array(model.weights),
        hand_mean=as_array(mean),
        hand_components=as_array(components),
        kind=model.kind,
        parents=tuple(int(parent) for parent in model.parents),
        use_pca=use_pca,
    )


def _directions(model: SmplModel) -> tuple[np.ndarray, np.ndarray]:
    """The blend shapes of shape and of expression, (V, 3, S) and (V, 3, E)."""
    count = shape_count(model)
    shape, rest = model.shape_directions[..., :count], model.shape_directions[..., count:]
    return shape, rest if model.kind == "SMPL-X" else rest[..., :0]
