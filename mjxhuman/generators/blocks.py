"""The transformer block of Wan 2.1 (Wan Team 2025, arXiv 2503.20314): shared by the generators of video and of motion.

Tokens ``(B, L, dim)`` are modulated by the noise level, attend to each other with rotary positions, then to the text.
Normalisations and modulations are computed at least in float32, whatever type the tokens have.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Bool, Float

from mjxhuman.generators.adapters import Dense
from mjxhuman.types import Array

#: Of all normalisations.
EPS = 1e-6
#: Base of the rotary and of the sinusoidal frequencies.
_BASE = 10_000.0


def wide(x: Array) -> Array:
    """In float32, or in float64 if it is."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def sinusoid(t: Float[Array, "*b"], size: int) -> Float[Array, "*b size"]:
    """Cosines, then sines, of ``t`` at ``size / 2`` frequencies from 1 down to nearly 1 / 10,000."""
    half = size // 2
    frequency = _BASE ** (-np.arange(half, dtype=np.float64) / half)
    angle = t[..., None].astype(jnp.float32) * frequency.astype(np.float32)
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], -1)


def rotary(places: Sequence[np.ndarray], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines ``(L, D / 2)`` of rotary positions (Su et al. 2021, arXiv 2104.09864).

    Args:
        places: along each axis, ``(L,)``. sizes: components of a head for each axis, even; D in all.
    """
    angles = []
    for place, size in zip(places, sizes, strict=True):
        angles.append(np.outer(place, _BASE ** (-np.arange(0, size, 2, dtype=np.float64) / size)))
    angle = np.concatenate(angles, -1)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def turned(x: Float[Array, "B L H D"], table: tuple[Array, Array]) -> Float[Array, "B L H D"]:
    """Queries or keys with neighbouring components turned in pairs by rotary positions."""
    cosine, sine = (t[:, None, :] for t in table)
    a, b = wide(x[..., 0::2]), wide(x[..., 1::2])
    return jnp.stack([a * cosine - b * sine, a * sine + b * cosine], -1).reshape(x.shape).astype(x.dtype)


def normalized(x: Array) -> Array:
    """Zero mean and unit variance over the last axis, at least in float32."""
    x = wide(x)
    off = x - jnp.mean(x, -1, keepdims=True)
    return off * jax.lax.rsqrt(jnp.mean(jnp.square(off), -1, keepdims=True) + EPS)


class RMSNorm(nn.Module):
    """Unit mean square over the last axis, times a learned scale."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply; the result has the type of ``x``."""
        y = wide(x)
        y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), -1, keepdims=True) + EPS)
        return (y * self.param("weight", nn.initializers.ones, (x.shape[-1],))).astype(x.dtype)


class LayerNorm(nn.Module):
    """Zero mean and unit variance over the last axis, times a learned scale, plus a learned offset."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply; the result has the type of ``x``."""
        weight = self.param("weight", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return (normalized(x) * weight + bias).astype(x.dtype)


class Attention(nn.Module):
    """Of tokens to each other, or to others. Queries and keys have unit mean square over all heads together."""

    heads: int

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        other: jax.Array | None = None,
        table: tuple[jax.Array, jax.Array] | None = None,
        mask: Bool[jax.Array, "*#b 1 #L K"] | None = None,
    ) -> jax.Array:
        """Attend from ``x (B, L, dim)`` to ``other (B, K, dim)``, None: ``x``; where ``mask`` is False, not.

        ``table``: rotary positions of both, as ``rotary`` gives them.
        """
        dim, other = x.shape[-1], x if other is None else other
        q = RMSNorm(name="norm_q")(Dense(dim, name="q")(x))
        k = RMSNorm(name="norm_k")(Dense(dim, name="k")(other))
        v = Dense(dim, name="v")(other)
        q, k, v = (y.reshape(*y.shape[:2], self.heads, dim // self.heads) for y in (q, k, v))
        if table is not None:
            q, k = turned(q, table), turned(k, table)
        found = jax.nn.dot_product_attention(q, k, v, mask=mask)
        return Dense(dim, name="o")(found.reshape(x.shape))


class Block(nn.Module):
    """Self-attention, attention to the text, and two layers; the first and the last are modulated."""

    heads: int
    ffn: int

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        text: jax.Array,
        modulation: jax.Array,
        table: tuple[jax.Array, jax.Array],
        mask: jax.Array | None = None,
        text_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Tokens ``x (B, L, dim)`` with ``text (B, K, dim)`` and ``modulation (B, 6, dim)`` of the noise level."""
        dim = x.shape[-1]
        own = self.param("modulation", nn.initializers.normal(dim**-0.5), (1, 6, dim))
        shift, scale, gate, shift2, scale2, gate2 = jnp.split(own + wide(modulation), 6, 1)

        def modulated(x: jax.Array, shift: jax.Array, scale: jax.Array) -> jax.Array:
            return (normalized(x) * (1.0 + scale) + shift).astype(x.dtype)

        def added(x: jax.Array, y: jax.Array, gate: jax.Array) -> jax.Array:
            return (wide(x) + gate * wide(y)).astype(x.dtype)

        x = added(x, Attention(self.heads, name="self_attn")(modulated(x, shift, scale), None, table, mask), gate)
        x = x + Attention(self.heads, name="cross_attn")(LayerNorm(name="norm3")(x), text, None, text_mask)
        y = nn.gelu(Dense(self.ffn, name="ffn_0")(modulated(x, shift2, scale2)), approximate=True)
        return added(x, Dense(dim, name="ffn_2")(y), gate2)


class Head(nn.Module):
    """From tokens to what is predicted, modulated by the noise level."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, level: jax.Array) -> jax.Array:
        """Tokens ``x (B, L, dim)`` with the embedding ``level (B, dim)`` of the noise level."""
        own = self.param("modulation", nn.initializers.normal(x.shape[-1] ** -0.5), (1, 2, x.shape[-1]))
        shift, scale = jnp.split(own + wide(level)[:, None], 2, 1)
        return Dense(self.features, name="head")((normalized(x) * (1.0 + scale) + shift).astype(x.dtype))


class Condition(nn.Module):
    """Embeddings of the noise level, for the head and for the blocks, and of the text."""

    dim: int
    frequencies: int = 256

    @nn.compact
    def __call__(self, s: jax.Array, text: jax.Array, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array, jax.Array]:
        """``(B, dim)``, ``(B, 6, dim)`` and ``(B, K, dim)`` of levels ``s (B,)`` in [0, 1] and ``text (B, K, n)``."""
        wave = sinusoid(1000.0 * s, self.frequencies).astype(dtype)
        level = Dense(self.dim, name="time_embedding_2")(nn.silu(Dense(self.dim, name="time_embedding_0")(wave)))
        modulation = Dense(6 * self.dim, name="time_projection_1")(nn.silu(level))
        words = nn.gelu(Dense(self.dim, name="text_embedding_0")(text.astype(dtype)), approximate=True)
        words = Dense(self.dim, name="text_embedding_2")(words)
        return level, modulation.reshape(*level.shape[:-1], 6, self.dim), words
