"""The pytrees that travel between the packages: fields, shapes, units and frames. No algorithms.

Axes: ``*b`` batch, ``T`` frames, ``J`` joints of a source skeleton, ``B`` MuJoCo bodies (index 0 is the world, so a
MuJoCo body id indexes the axis). World frame: right-handed, z up, origin on the floor. SI units. Quaternions are
``wxyz``. Fields marked *static* are part of the pytree's structure: changing them recompiles a jitted caller, so hot
functions take arrays, not these containers.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from flax import struct
from jaxtyping import Bool, Float

Array: TypeAlias = jax.Array | np.ndarray

#: SMPL's 24 joints in SMPL order, under the body names used throughout (PHC's).
SMPL_JOINTS = (
    "Pelvis", "L_Hip", "R_Hip", "Torso", "L_Knee", "R_Knee", "Spine", "L_Ankle", "R_Ankle", "Chest", "L_Toe", "R_Toe",
    "Neck", "L_Thorax", "R_Thorax", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist",
    "L_Hand", "R_Hand",
)  # fmt: skip
#: Parent of each SMPL joint, -1 for the pelvis.
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a motion came from and every convention that was needed to read it.

    ``conventions`` holds one sentence per value that the file did not state (frame rate, up axis, unit, ...);
    ``ground`` the grounding step that was applied, ``ground_offset`` the vertical shift in metres it added;
    ``retarget`` the residual report of the retargeting step, one sentence each.
    """

    path: str = ""
    format: str = ""
    licence: str = ""
    conventions: tuple[str, ...] = ()
    ground: str = "none"
    ground_offset: float = 0.0
    retarget: tuple[str, ...] = ()

    def with_(self, **changes: Any) -> Provenance:
        """A copy with some fields replaced."""
        return dataclasses.replace(self, **changes)


@struct.dataclass
class BodyMotion:
    """SMPL-topology motion as files hold it: local rotations of the 24 SMPL joints, z-up world.

    The root rotation maps the SMPL rest frame (x left, y up, z forward) to the z-up world.
    """

    betas: Float[Array, "*b S"]  # shape coefficients; S may be 0
    transl: Float[Array, "*b T 3"]  # m, world position of the pelvis joint
    global_orient: Float[Array, "*b T 4"]  # wxyz
    body_pose: Float[Array, "*b T 23 4"]  # wxyz, local, SMPL joint order 1..23
    valid: Bool[Array, "*b T"]
    fps: float = struct.field(pytree_node=False)
    body: str = struct.field(pytree_node=False, default="smpl")
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class SkeletonMotion:
    """Motion of any articulated skeleton, as forward kinematics of the file gives it, z-up world."""

    joint_pos: Float[Array, "T J 3"]  # m, world
    joint_quat: Float[Array, "T J 4"]  # wxyz, world rotation of the joint's frame relative to its rest frame
    rest_pos: Float[Array, "J 3"]  # m, world-aligned rest pose (zero rotations), z up
    valid: Bool[Array, " T"]
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)
    parents: tuple[int, ...] = struct.field(pytree_node=False)  # -1 for the root; parents come before children
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class PointMotion:
    """Motion of labelled points (markers, or joint positions without rotations), z-up world."""

    pos: Float[Array, "T K 3"]  # m, world; entries of invalid points are 0
    valid: Bool[Array, "T K"]
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)
    kind: str = struct.field(pytree_node=False, default="markers")  # "markers" or "joints"
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class Camera:
    """A pinhole camera per frame, axes as in OpenCV: x right, y down, z forward; pixel (0, 0) is the first's centre.

    Several views of one scene are a batch axis. T may be 1 for a camera that stands still.
    """

    intrinsics: Float[Array, "*b C 3 3"]  # px; C is T or 1
    T_world_camera: Float[Array, "*b C 4 4"]  # camera to world: column 3 is the camera's place in m
    distortion: Float[Array, "*b C 4"]  # k1, k2, p1, p2 of OpenCV's model; zeros for none
    image_size: tuple[int, int] = struct.field(pytree_node=False)  # width, height in px
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class Keypoints:
    """Points of a person as an encoder or a file states them, in pixels of the (distorted) image.

    ``confidence`` 0 means not seen: the other entries are then 0 and mean nothing. ``pos3d``, where the source has it,
    is metric, relative to a root of the source's choice and to its own idea of the person's size, in the axes of a
    camera that is turned to look at the middle of the person's hips: networks that see a crop know no other.
    """

    uv: Float[Array, "*b T K 2"]  # px, x right, y down
    confidence: Float[Array, "*b T K"]  # 0..1, the source's own
    names: tuple[str, ...] = struct.field(pytree_node=False)
    fps: float = struct.field(pytree_node=False)
    image_size: tuple[int, int] = struct.field(pytree_node=False)  # width, height in px
    pos3d: Float[Array, "*b T K 3"] | None = None  # m
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class VideoFeatures:
    """What a network says about each frame of a video, as a vector that means something to the network only."""

    values: Float[Array, "*b T F"]  # zeros where not valid
    valid: Bool[Array, "*b T"]
    fps: float = struct.field(pytree_node=False)
    name: str = struct.field(pytree_node=False)  # which features of which network
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class Controls:
    """Targets with which the servos of a simulated body made a motion."""

    target: Float[Array, "T nu"]  # rad, of the control step that begins at each frame; the last repeats the one before
    servos: tuple[tuple[str, Any], ...] = struct.field(pytree_node=False)  # from ``Actuated.facts``: which


@struct.dataclass
class Motion:
    """Motion of a humanoid in its MuJoCo model's coordinates, with velocities and accelerations as fields."""

    qpos: Float[Array, "*b T nq"]
    qvel: Float[Array, "*b T nv"]  # MuJoCo convention: free joint linear world, angular body-local
    qacc: Float[Array, "*b T nv"]
    body_pos: Float[Array, "*b T B 3"]  # m, world
    body_quat: Float[Array, "*b T B 4"]  # wxyz, world
    body_linvel: Float[Array, "*b T B 3"]  # m/s, of the body frame's origin, world axes
    body_angvel: Float[Array, "*b T B 3"]  # rad/s, world axes
    valid: Bool[Array, "*b T"]
    dt: float = struct.field(pytree_node=False)
    humanoid: Any = struct.field(pytree_node=False)  # mjxhuman.humanoids.Humanoid
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())
    controls: Controls | None = None  # of a simulated motion, at its own frame rate, where they are known

    @property
    def fps(self) -> float:
        """Frames per second."""
        return 1.0 / self.dt

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.qpos.shape[-2])

    def __repr__(self) -> str:
        *batch, frames, _ = np.shape(self.qpos)
        what = "x".join([*map(str, batch), str(frames)])
        body = getattr(self.humanoid, "description", self.humanoid)
        source = f", from {self.provenance.path}" if self.provenance.path else ""
        return f"Motion({what} frames at {self.fps:g} Hz, {frames * self.dt:.2f} s, {body}{source})"


class BodyState(NamedTuple):
    """Poses and velocities of the J tracked bodies of a humanoid, the root first, world axes.

    ``rot`` is the rotation of PHC's *upright* body frames (x forward, y left, z up in the T-pose):
    ``mjxhuman.envs.imitation.observations.upright`` makes it of ours. A robot's frames are its model's.
    """

    pos: Float[Array, "*b J 3"]  # m
    rot: Float[Array, "*b J 4"]  # wxyz
    vel: Float[Array, "*b J 3"]  # m/s
    angvel: Float[Array, "*b J 3"]  # rad/s


@struct.dataclass
class Dynamics:
    """What a motion takes: forces and torques of contact-consistent inverse dynamics, per frame."""

    root_force: Float[Array, "*b T 3"]  # N, world: external force the motion needs
    root_torque: Float[Array, "*b T 3"]  # N m, world axes, about the root body's origin
    joint_torque: Float[Array, "*b T B 3"]  # N m, at each body's joint, body axes, contact forces accounted for
    grf: Float[Array, "*b T F 3"]  # N, world, per contact body, feet first
    cop: Float[Array, "*b T F 3"]  # m, world; the origin where the body carries nothing
    residual: Float[Array, "*b T 6"]  # world force N, torque N m about the root: what no contact explains
    external_support: Float[Array, "*b T"]  # 0..1 share of body weight that needs support where there is none
    com: Float[Array, "*b T 3"]  # m
    com_vel: Float[Array, "*b T 3"]  # m/s
    com_acc: Float[Array, "*b T 3"]  # m/s^2
    power: Float[Array, "*b T"]  # W, sum of positive joint power
    contact_names: tuple[str, ...] = struct.field(pytree_node=False)


@struct.dataclass
class Scores:
    """Result of scoring: terms in their own unit or 0..1, axes and total 0..1, higher is better for axes and total.

    ``valid`` False means the clip could not be scored and ``reason`` says why; its numbers are NaN, never 0.
    """

    total: Float[Array, "*b"]
    axes: dict[str, Float[Array, "*b"]]
    terms: dict[str, Float[Array, "*b"]]
    frames: dict[str, Float[Array, "*b T"]]
    valid: Bool[Array, "*b"]
    reason: Any = struct.field(pytree_node=False)  # str, or a tuple of str per batch entry
    reward: str = struct.field(pytree_node=False)
    humanoid: str = struct.field(pytree_node=False, default="")

    def __repr__(self) -> str:
        what = f"total of shape {np.shape(self.total)}"
        if np.ndim(self.total) == 0 and not isinstance(self.total, jax.core.Tracer):
            what = f"total {float(self.total):.3f}" if np.asarray(self.valid) else f"not valid: {self.reason}"
        return f"Scores({self.reward}, {what}, {len(self.axes)} axes, {len(self.terms)} terms, {self.humanoid})"

    def __str__(self) -> str:
        """A table: one line per number of a clip, or one line per clip of a batch."""
        table = self.to_dict()
        head = f"{self.reward}{f' on {self.humanoid}' if self.humanoid else ''}"
        numbers = [name for name in table if name not in ("clip", "valid", "reason")]
        if np.ndim(self.total) == 0:
            if not table["valid"][0]:
                return f"{head}\nnot valid: {table['reason'][0]}"
            width = max(map(len, numbers))
            return "\n".join([head, *(f"{name:<{width}}  {table[name][0]:.4g}" for name in numbers)])
        shown = ["total", *self.axes]
        lines = [head, "clip  " + "  ".join(f"{name:>9}" for name in shown)]
        for k, ok in enumerate(table["valid"]):
            cells = "  ".join(f"{table[name][k]:>9.3f}" for name in shown) if ok else f"not valid: {table['reason'][k]}"
            lines.append(f"{k:>4}  {cells}")
        return "\n".join(lines)

    def to_dict(self, frames: bool = False) -> dict[str, np.ndarray]:
        """Columns of equal length, as ``pandas.DataFrame`` takes them.

        Args:
            frames: False: a row per clip, with ``clip``, ``valid``, ``reason``, ``total``, the axes and the terms.
                True: a row per frame of every clip, with ``clip``, ``frame`` and what ``frames`` holds.
        """
        if frames:
            values = {name: np.asarray(x) for name, x in self.frames.items()}
            shape = next(iter(values.values())).shape if values else (0,)
            clip, frame = np.indices((int(np.prod(shape[:-1])), shape[-1])).reshape(2, -1)
            return {"clip": clip, "frame": frame, **{name: x.reshape(-1) for name, x in values.items()}}
        count = int(np.size(self.total))
        reasons = [self.reason] if isinstance(self.reason, str) else list(self.reason)
        columns = {"clip": np.arange(count), "valid": np.reshape(self.valid, -1), "reason": np.array(reasons, object)}
        numbers = {"total": self.total, **self.axes, **self.terms}
        return columns | {name: np.reshape(np.asarray(x), -1) for name, x in numbers.items()}
