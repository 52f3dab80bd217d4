"""Windows of recorded motion as a detector of keypoints sees them, drawn at random: what the lifter learns from.

``Sampler.draw`` is one JAX program: clips are cut, mirrored, retimed and recombined, put on bodies of other
proportions and seen by a camera somewhere; self-occlusion is computed. Only the detector's errors are drawn beforehand,
by the code that simulates detections (``encoders.detection_noise``), as a table that windows are cut from.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from mjxhuman.encoders import viewpoints
from mjxhuman.encoders.detection_noise import PRESETS, Draw
from mjxhuman.encoders.lifter_network import CONTACTS, POINTS, Seen, see
from mjxhuman.encoders.synthetic import covered
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion, rotation
from mjxhuman.retarget.chain import BODIES, INDEX, JOINTS, UPRIGHT, chain_of
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.retarget.pose import forward

from .lifter_clips import RATE, Clips

#: Joints that are recombined together, besides the pelvis'.
_PARTS = (
    ("Torso", "Spine", "Chest", "Neck", "Head"),
    *(tuple(f"{s}_{j}" for j in ("Thorax", "Shoulder", "Elbow", "Wrist")) for s in "LR"),
    *(tuple(f"{s}_{j}" for j in ("Hip", "Knee", "Ankle", "Toe")) for s in "LR"),
)
_PART_OF = np.array([next((k for k, part in enumerate(_PARTS) if name in part), -1) for name in BODIES])
#: Bones whose lengths change together.
_BONES = (
    ("L_Knee", "R_Knee"), ("L_Ankle", "R_Ankle"), ("L_Hip", "R_Hip"), ("Torso", "Spine", "Chest", "Neck"),
    ("L_Thorax", "R_Thorax", "L_Shoulder", "R_Shoulder"), ("L_Elbow", "R_Elbow"), ("L_Wrist", "R_Wrist"),
)  # fmt: skip
_MIRROR = np.array(
    [BODIES.index({"L": "R", "R": "L"}[n[0]] + n[1:]) if n[1] == "_" else k for k, n in enumerate(BODIES)]
)
#: A foot point stands that is so near to the floor (m) and so slow (m/s).
_NEAR, _SLOW = 0.07, 0.35
_LAYOUTS = (0.3, 0.2)  # shares of the windows without feet, and without a head
_TABLE_SECONDS, _TABLE_RUNS = 10.0, 240
#: Presets of ``detection_noise`` that take turns in the table.
_NOISE = ("detector", "blazepose", "detector", "occluded", "detector")


@struct.dataclass
class Augmentation:
    """How windows are changed; 0 leaves out."""

    mirror: float = 0.5  # share of the windows that are mirrored
    slowest: float = 0.7  # factors on the speed
    fastest: float = 1.35
    proportions: float = 0.08  # share by which bones are longer or shorter
    stature: float = 0.02  # standard deviation, share
    recombined: float = 0.65  # share of the windows with parts of other clips
    misplaced: float = 0.012  # standard deviation of the place of a keypoint on the body, m
    bent: float = 0.1  # standard deviation about each axis of a turn that a joint has all the time, rad
    tilt: float = 0.02  # standard deviation of the camera's vertical about each axis, rad


#: Windows as they were recorded, but for where keypoints lie on the body.
PLAIN = Augmentation(
    mirror=0.0, slowest=1.0, fastest=1.0, proportions=0.0, stature=0.0, recombined=0.0, bent=0.0, tilt=0.0
)


class Sample(NamedTuple):
    """N windows of T frames."""

    seen: Seen
    turns: Array  # (N, T, 22, 3, 3) pelvis in the view frame, joints local
    points: Array  # (N, T, K, 3) m, view frame, relative to the middle of the hips
    contact: Array  # (N, T, 4) bool
    stands: Array  # (N,) bool, whether contact means something
    exchanged: Array  # (N, T, 2) bool


class Table(NamedTuple):
    """Errors of detections, drawn: R runs of S frames."""

    error: Any  # (2, R, S, K, 2) shares of the person's size; of points in view, and of points behind the body
    share: Any  # (2, R, S, K) relative confidence
    order: Any  # (2, R, S, K) int, which point is found; seen from the front, and from behind
    lost: Any  # (R, S, K) bool


def make_table(seed: int, presets: tuple[str, ...] = _NOISE, runs: int = _TABLE_RUNS) -> Table:
    """Draws of detection errors for ``POINTS`` at ``RATE``."""
    frames, count = int(_TABLE_SECONDS * RATE), len(POINTS)
    rows = []
    for run in range(runs):
        noise = PRESETS[presets[run % len(presets)]]
        error, share, order = [], [], []
        for flag in (False, True):
            draw = Draw(noise, POINTS, frames, RATE, seed + run)
            share.append(draw.confidence(np.full((frames, count), flag)))
            error.append(draw.errors(share[-1], np.full((frames, count), flag)))
            own = np.tile(np.arange(count), (frames, 1))[..., None]
            order.append(draw.exchanged(own, np.full(frames, flag))[..., 0])
        rows.append((error, share, order, draw.lost()))
    error, share, order, lost = (np.stack(x, 1 if k < 3 else 0) for k, x in enumerate(zip(*rows, strict=True)))
    return Table(error.astype(np.float32), share.astype(np.float32), order.astype(np.int32), lost)


class Source(NamedTuple):
    """What windows are drawn from."""

    clips: Clips
    table: Table
    given: Augmentation


class Sampler:
    """Draws windows of so many frames, on one body."""

    def __init__(self, humanoid: Humanoid, frames: int) -> None:
        chain = chain_of(humanoid)
        points = keypoint_set(POINTS, chain)
        near = np.array([INDEX[place.joint] for place in points.places])
        self.offsets = np.asarray(chain.offsets[:JOINTS], np.float32)
        self.near, self.body = near, points.body
        self.point = (points.point - chain.rest[near] + chain.rest[points.body]).astype(np.float32)
        capsules, turn = humanoid.capsules, np.asarray(humanoid.smpl_frame, float)
        assert capsules is not None and humanoid.smpl_body_ids is not None
        index = {int(body): min(k, 21) if k < 22 else k - 2 for k, body in enumerate(humanoid.smpl_body_ids)}
        hand = np.array([int(np.flatnonzero(humanoid.smpl_body_ids == b)[0]) for b in capsules.body_id])
        self.capsule_body = np.array([index[int(b)] for b in capsules.body_id])
        further = np.where((hand >= 22)[:, None], chain.offsets[np.maximum(hand, 1)], 0.0)[:, None]
        self.ends = (quaternion.rotate(turn, capsules.ends) + further).astype(np.float32)
        self.radius = capsules.radius
        self.frames = frames

    @functools.partial(jax.jit, static_argnums=(0, 3))
    def draw(self, key: Array, source: Source, count: int) -> Sample:
        """So many windows."""
        return jax.vmap(self._one, in_axes=(0, None))(jax.random.split(key, count), source)

    def _one(self, key: Array, source: Source) -> Sample:
        given, frames = source.given, self.frames
        keys = iter(jax.random.split(key, 24))
        local, root, stands = self._motion(next(keys), source)
        offsets = self.offsets * self._lengths(next(keys), given)
        pos, quat = jax.vmap(forward, in_axes=(None, 0, 0))(offsets, root, local)

        def place(point: Array) -> Array:
            turned = rotation.rotate(quat[:, self.body], jnp.broadcast_to(point, (frames, *point.shape)))
            return pos[:, self.near] + turned

        true = place(jnp.asarray(self.point))
        found = place(self.point + given.misplaced * _alike(jax.random.normal(next(keys), self.point.shape)))
        feet = true[:, [POINTS.index(name) for name in CONTACTS]]
        floor = feet[..., 2].min()
        speed = jnp.linalg.norm(jnp.gradient(feet, axis=0), axis=-1) * RATE
        contact = (feet[..., 2] < floor + _NEAR) & (speed < _SLOW)
        eye = self._eye(next(keys), root, floor)
        ends = pos[:, self.capsule_body, None] + rotation.rotate(
            jnp.broadcast_to(quat[:, self.capsule_body, None], (frames, len(self.radius), 2, 4)), self.ends
        )
        behind = self._behind(eye, found, ends)
        front = rotation.rotate(quat[:, 0], jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (frames, 3)))
        away = jnp.sum(front * (root - eye), -1) > 0.3 * jnp.linalg.norm(root - eye, axis=-1)
        direction, confidence, order = self._detected(next(keys), source.table, found - eye[:, None], behind, away)
        lean = given.tilt * jax.random.normal(next(keys), (3,)) * jnp.array([1.0, 1.0, 0.0])
        direction = rotation.rotate(jnp.broadcast_to(rotation.exp(lean), (*direction.shape[:-1], 4)), direction)
        seen = see(direction, confidence, RATE)
        turn = jnp.einsum("tyx,tjyz->tjxz", seen.view, rotation.to_matrix(quat[:, :1]))
        inner = rotation.to_matrix(local[:, 1:])
        middle = true[:, [POINTS.index("LHip"), POINTS.index("RHip")]].mean(1, keepdims=True)
        points = jnp.einsum("tyx,tky->tkx", seen.view, true - middle)
        changed = order != jnp.arange(len(POINTS))
        exchanged = jnp.stack([changed[:, POINTS.index(name)] for name in ("LKnee", "LElbow")], -1)
        return Sample(seen, jnp.concatenate([turn, inner], 1), points, contact, stands, exchanged)

    def _behind(self, eye: Array, points: Array, ends: Array) -> Array:
        """Points (T, K) that are behind the body."""

        def add(behind: Array, capsule: tuple[Array, Array]) -> tuple[Array, None]:
            one, radius = capsule
            return behind | covered(eye, points, one[:, None], radius[None]), None

        start = jnp.zeros(points.shape[:2], bool)
        return jax.lax.scan(add, start, (jnp.moveaxis(ends, 1, 0), jnp.asarray(self.radius)))[0]

    def _motion(self, key: Array, source: Source) -> tuple[Array, Array, Array]:
        """Local rotations (T, 22, 4), root (T, 3) and whether the legs are the root's own."""
        given = source.given
        keys = jax.random.split(key, 6)
        local, root = jax.vmap(self._cut, in_axes=(0, None))(jax.random.split(keys[0], 3), source)
        # whose trunk, arms and legs: an upper body, arms, or every part of another clip
        upper, arms, free = (
            jnp.array([1, 1, 1, 0, 0]),
            jnp.array([0, 1, 2, 0, 0]),
            jax.random.randint(keys[1], (5,), 0, 3),
        )
        kind = jax.random.choice(keys[2], 3, p=jnp.array([0.25, 0.25, 0.5]))
        whose = jnp.stack([upper, arms, free])[kind]
        whose = jnp.where(jax.random.uniform(keys[3]) < given.recombined, whose, 0)
        chosen = jnp.where(_PART_OF < 0, 0, whose[_PART_OF])
        mixed = jnp.take_along_axis(local, chosen[None, None, :, None], 0)[0]
        bend = given.bent * jax.random.normal(keys[4], (JOINTS, 3)) * (np.arange(JOINTS) > 0)[:, None]
        bend = bend * jax.random.bernoulli(keys[5], 0.7)
        mixed = rotation.multiply(mixed, jnp.broadcast_to(rotation.exp(bend), mixed.shape))
        return mixed, root[0], (whose[3] == 0) & (whose[4] == 0)

    def _cut(self, key: Array, source: Source) -> tuple[Array, Array]:
        """One window of one clip."""
        given, clips, keys = source.given, source.clips, jax.random.split(key, 4)
        rate = jax.random.uniform(keys[0], minval=given.slowest, maxval=given.fastest)
        weight = jnp.log(clips.length * clips.used)
        clip = jax.random.categorical(keys[1], weight)
        span = rate * (self.frames - 1)
        most = clips.length[clip] - 1.0
        time = jax.random.uniform(keys[2]) * jnp.maximum(most - span, 0.0) + rate * jnp.arange(self.frames)
        time = jnp.minimum(time, most)
        low = jnp.floor(time).astype(jnp.int32)
        high = jnp.minimum(low + 1, clips.length[clip] - 1)
        share = (time - low)[:, None]
        low, high = low + clips.start[clip], high + clips.start[clip]
        root = clips.root[low] * (1 - share) + clips.root[high] * share
        before, after = clips.local[low], clips.local[high]
        after = jnp.where(jnp.sum(before * after, -1, keepdims=True) < 0, -after, after)
        local = rotation.normalize(before * (1 - share[..., None]) + after * share[..., None])
        flip = jax.random.bernoulli(keys[3], given.mirror)
        other = jnp.where(flip, _mirrored(local), local)
        return other, jnp.where(flip, root * jnp.array([1.0, -1.0, 1.0]), root)

    def _lengths(self, key: Array, given: Augmentation) -> Array:
        """Factors (22, 1) on the bones."""
        keys = jax.random.split(key)
        change = given.proportions * jax.random.uniform(keys[0], (len(_BONES),), minval=-1.0, maxval=1.0)
        groups = np.array([[name in bones for bones in _BONES] for name in BODIES], np.float32)
        return ((1.0 + groups @ change) * (1.0 + given.stature * jax.random.normal(keys[1])))[:, None]

    def _eye(self, key: Array, root: Array, floor: Array) -> Array:
        """Places (T, 3) m of a camera; a third of them is carried."""
        keys = jax.random.split(key, 6)
        turn, (near, far) = jax.random.uniform(keys[0], maxval=2 * jnp.pi), viewpoints.DISTANCE
        distance = jax.random.uniform(keys[1], minval=near, maxval=far)
        height = jax.random.uniform(keys[2], minval=viewpoints.HEIGHT[0], maxval=viewpoints.HEIGHT[1])
        middle = root.mean(0)
        away = jnp.array([jnp.cos(turn), jnp.sin(turn), 0.0])
        path = jnp.linalg.norm((root - middle)[:, :2], axis=-1).max()
        place = (
            middle * jnp.array([1.0, 1.0, 0.0])
            + (distance + path) * away
            + jnp.array([0.0, 0.0, 1.0]) * (floor + height)
        )
        time = jnp.arange(len(root))[:, None] / RATE
        speed = 0.5 * jax.random.normal(keys[3], (2, 3)) * jnp.array([1.0, 1.0, 0.0])
        bounce = 0.02 * jnp.sin(2 * jnp.pi * (1.8 * time + jax.random.uniform(keys[4]))) * jnp.array([0.0, 0.0, 1.0])
        way = speed[0] * time + speed[1] * jnp.sin(2.0 * time) / 2.0 + bounce
        return place + jnp.where(jax.random.bernoulli(keys[5], 1 / 3), way, 0.0)

    def _detected(
        self, key: Array, table: Table, sight: Array, behind: Array, away: Array
    ) -> tuple[Array, Array, Array]:
        """Unit directions (T, K, 3), confidences (T, K) and which points were found (T, K)."""
        keys = jax.random.split(key, 6)
        run = jax.random.randint(keys[0], (), 0, table.lost.shape[0])
        first = jax.random.randint(keys[1], (), 0, table.lost.shape[1] - self.frames)
        error, share, order = (
            jax.lax.dynamic_slice_in_dim(x[:, run], first, self.frames, 1)
            for x in (table.error, table.share, table.order)
        )
        lost = jax.lax.dynamic_slice_in_dim(table.lost[run], first, self.frames)
        error = jnp.where(behind[..., None], error[1], error[0])
        share = jnp.where(behind, share[1], share[0])
        order = jnp.where(away[:, None], order[1], order[0])
        angle = jax.random.uniform(keys[2], maxval=2 * jnp.pi)
        c, s = jnp.cos(angle), jnp.sin(angle)
        error = jnp.stack([c * error[..., 0] - s * error[..., 1], s * error[..., 0] + c * error[..., 1]], -1)
        ahead = rotation.normalize(sight.mean(1))
        right = rotation.normalize(jnp.cross(ahead, jnp.array([0.0, 0.0, 1.0])))
        axes = jnp.stack([right, jnp.cross(right, ahead), ahead], 1)
        seen = jnp.einsum("tax,tkx->tka", axes, sight)
        flat = seen[..., :2] / jnp.maximum(seen[..., 2:], 0.05)
        size = jnp.linalg.norm(flat.max(1) - flat.min(1), axis=-1)[:, None, None]
        flat = flat + size * error
        ideal = rotation.normalize(jnp.concatenate([flat, jnp.ones_like(flat[..., :1])], -1))
        direction = jnp.einsum("tax,tka->tkx", axes, ideal)
        direction = jnp.take_along_axis(direction, order[..., None], 1)
        share = jnp.take_along_axis(share, order, 1)
        without = jax.random.uniform(keys[3], (2,)) < jnp.array(_LAYOUTS)
        absent = (without[0] & _FEET) | (without[1] & _HEAD)
        return direction, jnp.where(lost | absent, 0.0, share), order


_FEET = np.array([name[1:] in ("Heel", "BigToe") for name in POINTS])
_HEAD = np.array([name in ("Nose", "LEar", "REar") for name in POINTS])
_OTHER = np.array(
    [POINTS.index({"L": "R", "R": "L"}.get(n[0], n[0]) + n[1:]) if n[0] in "LR" else k for k, n in enumerate(POINTS)]
)


def _alike(change: Array) -> Array:
    """Changes (K, 3) that are mostly the same on both sides of the body."""
    both = jnp.where((np.arange(len(POINTS)) < _OTHER)[:, None], change, (change * jnp.array([-1.0, 1.0, 1.0]))[_OTHER])
    return 0.8 * both + 0.6 * change


def _mirrored(local: Array) -> Array:
    """Rotations (T, 22, 4) of the mirror image in the plane y = 0 of the world."""
    upright = jnp.asarray(UPRIGHT, jnp.float32)
    turned = local[:, _MIRROR] * jnp.array([1.0, 1.0, -1.0, -1.0])
    root = rotation.multiply(local[:, 0], jnp.broadcast_to(rotation.conjugate(upright), local[:, 0].shape))
    root = rotation.multiply(root * jnp.array([1.0, -1.0, 1.0, -1.0]), jnp.broadcast_to(upright, root.shape))
    return turned.at[:, 0].set(root)
