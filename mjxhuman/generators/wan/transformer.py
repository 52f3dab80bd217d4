"""The diffusion transformer of Wan 2.1: latents of a video, a noise level and embedded text to a velocity.

Written from the paper and the layout of the released weights; parity with diffusers' ``WanTransformer3DModel`` is
tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mjxhuman.generators.adapters import Dense
from mjxhuman.generators.blocks import Block, Condition, Head, rotary


class WanTransformer(nn.Module):
    """Velocity ``(B, C, T, H, W)`` of latents of the same shape. Defaults: text to video, 1.3 billion numbers."""

    dim: int = 1536
    layers: int = 30
    heads: int = 12
    ffn: int = 8960
    channels: int = 16
    patch: tuple[int, int, int] = (1, 2, 2)
    frequencies: int = 256

    @nn.compact
    def __call__(self, latents: jax.Array, s: jax.Array, text: jax.Array) -> jax.Array:
        """Predict.

        Args:
            latents: ``(B, C, T, H, W)``, divisible by the patch. s: ``(B,)`` noise levels in [0, 1].
            text: ``(B, K, n)`` embedded prompts.

        Raises:
            ValueError: latents that patches do not divide, or of other channels.
        """
        batch, channels, *sizes = latents.shape
        if channels != self.channels or any(size % p for size, p in zip(sizes, self.patch, strict=True)):
            expected = f"(B, {self.channels}, T, H, W) in patches of {self.patch}"
            raise ValueError(f"latents: expected {expected}, found {latents.shape}")
        grid = tuple(size // p for size, p in zip(sizes, self.patch, strict=True))
        x = Dense(self.dim, name="patch_embedding")(_patches(latents, grid, self.patch))
        condition = Condition(self.dim, self.frequencies, name="condition")
        level, modulation, words = condition(s, text, latents.dtype)
        table = positions(grid, self.dim // self.heads)
        for i in range(self.layers):
            x = Block(self.heads, self.ffn, name=f"blocks_{i}")(x, words, modulation, table)
        x = Head(int(np.prod(self.patch)) * self.channels, name="head")(x, level)
        x = x.reshape(batch, *grid, *self.patch, self.channels)
        return x.transpose(0, 7, 1, 4, 2, 5, 3, 6).reshape(latents.shape)


def positions(grid: Sequence[int], head: int) -> tuple[jax.Array, jax.Array]:
    """Rotary positions in time, height and width of a grid of tokens: components ``head - 4 n, 2 n, 2 n`` of a head
    with n a sixth of it."""
    sixth = head // 6
    places = [axis.reshape(-1) for axis in np.meshgrid(*map(np.arange, grid), indexing="ij")]
    cosine, sine = rotary(places, (head - 4 * sixth, 2 * sixth, 2 * sixth))
    return jnp.asarray(cosine), jnp.asarray(sine)


def _patches(latents: jax.Array, grid: Sequence[int], patch: tuple[int, int, int]) -> jax.Array:
    """Tokens ``(B, L, C * patch)`` of latents ``(B, C, T, H, W)``."""
    (t, h, w), (a, b, c) = grid, patch
    x = latents.reshape(*latents.shape[:2], t, a, h, b, w, c).transpose(0, 2, 4, 6, 1, 3, 5, 7)
    return x.reshape(len(latents), t * h * w, -1)
