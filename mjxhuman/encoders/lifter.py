"""From 2D keypoints to a body by a small trained network: features of each frame, joints and how sure they are.

    features, lifted = load_lifter()(keypoints, camera)

The network (``lifter_network``) ships with the package in two sets of weights: "bidirectional", which looks a second
ahead and back, and "causal", which looks back two. ``experiments.train_lifter`` trains others. It knows no place and no
size: what it says is relative to the middle of the hips, of a body of 1.71 m; ``recovery`` puts it into the world.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util
from jax import Array
from jaxtyping import Bool, Float

from mjxhuman.data.cameras import level_camera
from mjxhuman.data.keypoint_names import canonical_name
from mjxhuman.data.keypoints import relative_confidence
from mjxhuman.encoders.lifter_network import ALIAS, LIMBS, POINTS, Params, init, rotations, say, see
from mjxhuman.math import camera as lens_model
from mjxhuman.math import rotation
from mjxhuman.runs import atomic_write
from mjxhuman.types import Camera, Keypoints, VideoFeatures

FORMAT, VERSION = "mjxhuman-lifter", 1
#: Sets of weights that ship with the package.
KINDS = ("bidirectional", "causal")
_SHIPPED = Path(__file__).parent / "shipped"
#: Standard deviation (m) of a sighting, 0.014 of a person 1.9 m across the box: of the detection and of where it lies
#: on the body (``recovery.sightings``); standard deviations at which one loses its say.
_SIGHTING, _KERNEL = 0.027, 3.0
_HIPS = np.array([POINTS.index("LHip"), POINTS.index("RHip")])
#: Frames per second the network was trained at, and from which frames are put between.
_RATE, _SLOWEST = 30.0, 20.0


@struct.dataclass
class Lifted:
    """What the lifter says of one person; T frames, K points. World axes; nothing where not ``valid``."""

    points: Float[Array, "T K 3"]  # m, relative to the middle of the hips, of a body of 1.71 m
    deviation: Float[Array, "T K"]  # m, standard deviation along each axis
    root_quat: Float[Array, "T 4"]  # wxyz, pelvis in SMPL's frame
    body_pose: Float[Array, "T 23 4"]  # wxyz, local, SMPL's joints 1..23; hands, of which nothing is seen, at identity
    contact: Float[Array, "T 4"]  # 0..1, left and right heel, left and right big toe on the floor
    exchanged: Float[Array, "T 2"]  # 0..1, sides of legs and of arms mixed up by the detector
    valid: Bool[Array, " T"]  # frames in which anything was seen
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)  # of the points


@dataclasses.dataclass(frozen=True)
class Lifter:
    """The network and its weights."""

    params: Params
    causal: bool
    facts: Mapping[str, Any]  # how it was trained

    @property
    def name(self) -> str:
        """Of its features: other weights have another."""
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(self.params):
            digest.update(np.asarray(leaf).tobytes())
        return f"mjxhuman lifter, {KINDS[self.causal]}, weights {digest.hexdigest()[:12]}"

    def __call__(self, keypoints: Keypoints, camera: Camera | None = None) -> tuple[VideoFeatures, Lifted]:
        """Features and body of a person seen by one camera.

        Args:
          keypoints: ``uv (T, K, 2)``; names in any usual spelling. camera: T frames or one, its world z up; None: a
            level one (``level_camera``).

        Raises:
          ValueError: shapes that do not fit, limbs without a keypoint, nobody seen.
        """
        direction, confidence = _directions(keypoints, camera or level_camera(keypoints.image_size))
        valid, fps, frames = (confidence > 0).any(1), float(keypoints.fps), len(confidence)
        between, phases = max(1, -int(-_RATE // fps)) if fps < _SLOWEST else 1, max(1, round(fps / _RATE))
        if between > 1:
            direction, confidence = _between(direction, confidence, between)
        # frames taken in turns are sequences of their own at the network's rate
        length = _bucket(-(-len(confidence) // phases))
        more = length * phases - len(confidence)

        def fold(x: np.ndarray) -> np.ndarray:
            padded = np.pad(x, [(0, more), *[(0, 0)] * (x.ndim - 1)])
            return padded.reshape(length, phases, *x.shape[1:]).swapaxes(0, 1)

        def flat(x: Array) -> np.ndarray:
            joined = np.asarray(x).swapaxes(0, 1).reshape(length * phases, *x.shape[2:])
            return joined[: frames * between : between]

        known = fold(np.ones(len(confidence), bool))
        said = _run(self.params, fold(direction), fold(confidence), known, fps * between / phases, self.causal)
        hidden, points, log_variance, quat, contact, exchanged = (flat(x) for x in said)
        features = VideoFeatures(np.where(valid[:, None], hidden, 0.0), valid, fps, self.name, keypoints.provenance)
        pose = np.concatenate([quat[:, 1:], np.broadcast_to([1.0, 0.0, 0.0, 0.0], (frames, 2, 4))], 1)
        return features, Lifted(
            points,
            np.exp(0.5 * log_variance),
            quat[:, 0],
            pose.astype(np.float32),
            contact,
            exchanged,
            valid,
            fps,
            POINTS,
        )


@functools.lru_cache(maxsize=4)
def load_lifter(weights: str | os.PathLike[str] = KINDS[0]) -> Lifter:
    """A lifter.

    Args:
      weights: one of ``KINDS``, or a file of ``save_lifter``.

    Raises:
      FileNotFoundError: no such file. ValueError: not a lifter's, or of another network.
    """
    path = _SHIPPED / f"lifter_{weights}.npz" if weights in KINDS else Path(weights)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected a lifter's weights (.npz), cannot read them ({error})") from None
    if (header.get("format"), header.get("version")) != (FORMAT, VERSION):
        found = f"{header.get('format')!r} {header.get('version')!r}"
        raise ValueError(f"{path}: format: expected {FORMAT!r} {VERSION}, found {found}")
    wanted = {k: v.shape for k, v in _flat(jax.eval_shape(init, jax.random.key(0))).items()}
    for name in sorted({*wanted, *arrays}):
        shape = np.shape(arrays[name]) if name in arrays else None
        if wanted.get(name) != shape:
            raise ValueError(f"{path}: {name}: expected shape {wanted.get(name)}, found {shape}")
    params = traverse_util.unflatten_dict({k: jnp.asarray(v, jnp.float32) for k, v in arrays.items()}, sep="/")
    return Lifter(params, bool(header["causal"]), header["facts"])


def save_lifter(path: str | os.PathLike[str], lifter: Lifter) -> None:
    """Write weights (half precision) and facts as one .npz."""
    arrays = {name: np.asarray(value, np.float16) for name, value in _flat(lifter.params).items()}
    header = {"format": FORMAT, "version": VERSION, "causal": lifter.causal, "facts": dict(lifter.facts)}
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def _flat(params: Params) -> dict[str, Any]:
    return traverse_util.flatten_dict(params, sep="/")


@functools.partial(jax.jit, static_argnums=5)
def _run(
    params: Params, direction: Array, confidence: Array, known: Array, fps: Array, causal: bool
) -> tuple[Array, ...]:
    seen = see(direction, confidence, fps)
    said = say(params, seen.features, causal, known)
    turns = rotations(said.turns)
    turns = turns.at[..., 0, :, :].set(jnp.einsum("...xy,...yz->...xz", seen.view, turns[..., 0, :, :]))
    points = jnp.einsum("...xy,...ky->...kx", seen.view, said.points)
    points = _towards(points, jnp.exp(0.5 * said.log_variance), direction, confidence)
    odds = jax.nn.sigmoid
    quat = rotation.from_matrix(turns)
    return said.hidden, points, said.log_variance, quat, odds(said.contact), odds(said.exchanged)


def _towards(points: Array, deviation: Array, direction: Array, confidence: Array) -> Array:
    """Points ``(*b, K, 3)`` moved towards the rays on which they were seen, as far as either is sure.

    The body is put where its points come nearest to the rays; a point is then moved across its ray by the share that
    its variance has of both. Points that are far off their rays for both are left: outliers, exchanged sides.
    """
    across = jnp.eye(3) - direction[..., :, None] * direction[..., None, :]
    sigma = _SIGHTING / jnp.maximum(confidence, 1e-3)
    share = jnp.where(confidence > 0, 1.0, 0.0)
    for _ in range(3):
        weight = (share / (sigma**2 + deviation**2))[..., None, None] * across
        normal = weight.sum(-3) + 1e-3 * jnp.eye(3)
        root = -jnp.linalg.solve(normal, jnp.einsum("...kxy,...ky->...x", weight, points)[..., None])[..., 0]
        miss = -jnp.einsum("...kxy,...ky->...kx", across, points + root[..., None, :])
        square = jnp.sum(miss * miss, -1) / (sigma**2 + deviation**2)
        share = jnp.where(confidence > 0, 1.0 / (1.0 + square / _KERNEL**2) ** 2, 0.0)
    gain = share * deviation**2 / (deviation**2 + sigma**2)
    points = points + gain[..., None] * miss
    return points - points[..., _HIPS, :].mean(-2, keepdims=True)


def _directions(keypoints: Keypoints, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (T, K, 3) of ``POINTS`` in the world, and relative confidences (T, K)."""
    shape, given = np.shape(keypoints.uv), np.shape(camera.intrinsics)
    if len(shape) != 3 or len(given) != 3 or given[0] not in (1, shape[0]):
        raise ValueError(
            f"keypoints: expected uv (T, K, 2) of one person and one camera of T frames or one, found {shape} and "
            f"intrinsics {given}"
        )
    names: dict[str, int] = {}
    for column, name in enumerate(keypoints.names):
        name = canonical_name(name)
        names.setdefault(name[:1] + ALIAS.get(name[1:], name[1:]), column)
    if missing := [name for name in LIMBS if name not in names]:
        raise ValueError(
            f"keypoints: expected {', '.join(missing)} among the names, found {', '.join(keypoints.names[:20])}"
        )
    columns = np.array([names.get(name, -1) for name in POINTS])
    said = np.where(columns >= 0, np.asarray(keypoints.confidence, np.float64)[:, columns], 0.0)
    uv = np.asarray(keypoints.uv, np.float64)[:, columns]
    said = np.where(((uv >= 0) & (uv <= np.asarray(keypoints.image_size))).all(-1), said, 0.0)
    if not (said > 0).any():
        raise ValueError("keypoints: confidence: found no point above 0 in any frame, expected a person")
    uv = np.where(said[..., None] > 0, uv, 0.0)
    _, direction = lens_model.rays(uv, camera.intrinsics, camera.T_world_camera, camera.distortion)
    return np.asarray(direction, np.float32), relative_confidence(said).astype(np.float32)


def _between(direction: np.ndarray, confidence: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The sequences with ``count - 1`` frames between each two, seen where both are."""
    time = np.arange((len(confidence) - 1) * count + 1) / count
    low = np.minimum(time.astype(int), len(confidence) - 1)
    high, share = np.minimum(low + 1, len(confidence) - 1), (time - low)[:, None]
    both = np.where((confidence[low] > 0) & ((confidence[high] > 0) | (share == 0)), 1.0, 0.0)
    way = direction[low] * (1 - share[..., None]) + direction[high] * share[..., None]
    way = way / np.linalg.norm(way, axis=-1, keepdims=True)
    return way.astype(np.float32), (both * ((1 - share) * confidence[low] + share * confidence[high])).astype(
        np.float32
    )


def _bucket(frames: int) -> int:
    """Lengths are padded, so that a new one seldom needs a new program."""
    return max(64, 1 << (frames - 1).bit_length())
