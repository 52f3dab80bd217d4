"""The network that lifts 2D keypoints of one camera to a body: what it sees, its layers, what it says.

It sees a person as a level camera would that looks at the middle of the body: the keypoints of a fixed list
(``POINTS``), in the person's own size in the picture, with confidences; how large and how far above or below eye level
the person is; how fast that camera turns in the world to follow, which holds what the person and the true camera do.
What it says is in the *view frame*: z up, x horizontal, from the camera to the person.

Frames are taken at 20 to 45 Hz. Layers are dilated convolutions: 31 frames to both sides, or
62 back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.retarget.chain import JOINTS

Params = dict[str, Any]

#: The points that are looked at, and lifted.
POINTS = (
    *(s + joint for joint in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Heel", "BigToe") for s in "LR"),
    "LEar", "REar", "Nose",
)  # fmt: skip
#: Points of other layouts that stand for one of ``POINTS``.
ALIAS = {"FootIndex": "BigToe"}
#: Points of a foot that touch the floor.
CONTACTS = ("LHeel", "RHeel", "LBigToe", "RBigToe")
#: Groups whose sides may be exchanged.
GROUPS = ("legs", "arms")
_TORSO = np.array([name[1:] in ("Shoulder", "Hip") for name in POINTS])
#: Those without which nothing is lifted.
LIMBS = POINTS[:12]
_LIMBS = np.arange(len(POINTS)) < len(LIMBS)
_FEATURES = 3 * len(POINTS) + 7
_DILATIONS = (1, 2, 4, 8, 16)
_UP = np.array([0.0, 0.0, 1.0])


class Seen(NamedTuple):
    """What the network sees; T frames."""

    features: Array  # (*b, T, F)
    view: Array  # (*b, T, 3, 3) columns are the view frame's axes in the world


class Heads(NamedTuple):
    """What the network says; T frames, K ``POINTS``, view frame."""

    hidden: Array  # (*b, T, H)
    turns: Array  # (*b, T, 22, 6) first two columns of rotations, the pelvis' in the view frame and the joints' local
    points: Array  # (*b, T, K, 3) m, relative to the middle of the hips, of a body of 1.71 m
    log_variance: Array  # (*b, T, K) of each axis, log m^2
    contact: Array  # (*b, T, 4) logits
    exchanged: Array  # (*b, T, 2) logits


def see(direction: Array, confidence: Array, fps: Array | float) -> Seen:
    """The network's input.

    Args:
      direction: ``(*b, T, K, 3)`` world, from the camera to each of ``POINTS``; unit. confidence: ``(*b, T, K)``
        relative, 0 where not seen. A point that is not seen stays where it was last.
    """
    frames = direction.shape[-3]
    seen = confidence > 0
    number = jnp.where(seen, jnp.arange(frames)[:, None], -1)
    last = jax.lax.cummax(number, axis=number.ndim - 2)
    direction = jnp.take_along_axis(direction, jnp.maximum(last, 0)[..., None], -3)
    weight = jnp.where(last >= 0, jnp.where(_TORSO, 1.0, 1e-4), 0.0)[..., None]
    ahead = _unit(jnp.sum(weight * direction, -2) + jnp.where(last.max(-1, keepdims=True) < 0, jnp.eye(3)[0], 0.0))
    level = _unit(ahead * jnp.array([1.0, 1.0, 0.0]) + jnp.array([1e-6, 0.0, 0.0]))
    left = jnp.cross(jnp.broadcast_to(_UP, level.shape), level)
    view = jnp.stack([level, left, jnp.broadcast_to(_UP, level.shape)], -1)
    above = jnp.cross(ahead, left)
    depth = jnp.maximum(jnp.einsum("...kx,...x->...k", direction, ahead), 0.2)[..., None]
    flat = jnp.stack([jnp.einsum("...kx,...x->...k", direction, axis) for axis in (left, above)], -1) / depth
    flat = jnp.where((last >= 0)[..., None], flat, 0.0)
    known = ((last >= 0) & _LIMBS)[..., None]
    square = jnp.sum(jnp.where(known, flat * flat, 0.0), (-1, -2)) / jnp.maximum(known.sum((-1, -2)), 1)
    size = jnp.sqrt(square + 1e-6)
    turning = fps * (ahead - _before(ahead))
    rest = jnp.stack([
        jnp.log(size) + 2.0, ahead[..., 2], jnp.sum(ahead * level, -1), jnp.sum(turning * left, -1),
        jnp.sum(turning * above, -1), fps * (jnp.log(size) - _before(jnp.log(size)[..., None])[..., 0]),
        seen.any(-1).astype(size.dtype),
    ], -1)  # fmt: skip
    flat = jnp.clip(flat / size[..., None, None], -4.0, 4.0)
    parts = (flat.reshape(*flat.shape[:-2], -1), confidence, jnp.clip(rest, -4.0, 4.0))
    return Seen(jnp.concatenate(parts, -1), view)


def _before(x: Array) -> Array:
    """The frame before (*b, T, n); of the first, itself."""
    return jnp.concatenate([x[..., :1, :], x[..., :-1, :]], -2)


def _unit(v: Array) -> Array:
    return v / jnp.sqrt(jnp.maximum(jnp.sum(v * v, -1, keepdims=True), 1e-12))


def outputs() -> dict[str, tuple[int, ...]]:
    """Heads in order, and their shapes."""
    count = len(POINTS)
    return {
        "turns": (JOINTS, 6), "points": (count, 3), "log_variance": (count,), "contact": (len(CONTACTS),),
        "exchanged": (len(GROUPS),),
    }  # fmt: skip


def init(key: Array, width: int = 160, hidden: int = 512) -> Params:
    """Fresh parameters."""
    keys = iter(jax.random.split(key, 3 + 2 * len(_DILATIONS)))

    def dense(fan_in: int, fan_out: int, gain: float = 1.0) -> Params:
        scale = gain / np.sqrt(fan_in)
        return {"w": scale * jax.random.normal(next(keys), (fan_in, fan_out)), "b": jnp.zeros(fan_out)}

    said = sum(int(np.prod(shape)) for shape in outputs().values())
    params: Params = {"in": dense(_FEATURES, width), "hidden": dense(width, hidden), "out": dense(hidden, said, 0.1)}
    for k in range(len(_DILATIONS)):
        params[f"block{k}"] = {
            "near": dense(3 * width, width, 1.4), "on": dense(width, width, 0.5), "scale": jnp.ones(width)
        }  # fmt: skip
    return params


def say(params: Params, features: Array, causal: bool, known: Array | None = None) -> Heads:
    """The network on features ``(*b, T, F)``.

    Args:
      causal: look back only. known: ``(*b, T)`` bool, frames that there are; others are as if beyond the ends.
    """
    inside = jnp.ones(()) if known is None else known[..., None]
    x = _dense(params["in"], features)
    for k, dilation in enumerate(_DILATIONS):
        block = params[f"block{k}"]
        y = block["scale"] * x / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6)
        y = y * inside
        taps = (2 * dilation, dilation, 0) if causal else (dilation, 0, -dilation)
        y = jax.nn.gelu(_dense(block["near"], jnp.concatenate([_late(y, tap) for tap in taps], -1)))
        x = x + _dense(block["on"], y)
    hidden = jax.nn.gelu(_dense(params["hidden"], x))
    said, first, heads = _dense(params["out"], hidden), 0, {}
    for name, shape in outputs().items():
        size = int(np.prod(shape))
        heads[name] = said[..., first : first + size].reshape(*said.shape[:-1], *shape)
        first += size
    identity = jnp.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    heads["turns"] = heads["turns"] + identity
    heads["log_variance"] = jnp.clip(heads["log_variance"] - 5.0, -10.0, 0.0)
    return Heads(hidden, **heads)


def _dense(layer: Params, x: Array) -> Array:
    return x @ layer["w"] + layer["b"]


def _late(x: Array, frames: int) -> Array:
    """The sequence (*b, T, n) so many frames later (earlier where negative), zeros where there is none."""
    if not frames:
        return x
    edge = jnp.zeros((*x.shape[:-2], min(abs(frames), x.shape[-2]), x.shape[-1]), x.dtype)
    if frames > 0:
        return jnp.concatenate([edge, x[..., :-frames, :]], -2)
    return jnp.concatenate([x[..., -frames:, :], edge], -2)


def rotations(turns: Array) -> Array:
    """Rotation matrices ``(..., 3, 3)`` of 6D numbers ``(..., 6)``: Gram-Schmidt (Zhou et al. 2019)."""
    a, b = turns[..., :3], turns[..., 3:]
    x = _unit(a)
    y = _unit(b - jnp.sum(x * b, -1, keepdims=True) * x)
    return jnp.stack([x, y, jnp.cross(x, y)], -1)
