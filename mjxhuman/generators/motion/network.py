"""The network of the motion generator: features of noised motion, a noise level and text to a velocity.

It is made of the blocks of Wan's transformer, with one token per frame and rotary positions in time.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Bool, Float

from mjxhuman.generators.adapters import Dense
from mjxhuman.generators.blocks import Block, Condition, Head, rotary


@dataclasses.dataclass(frozen=True)
class NetworkSize:
    """How large a network is.

    Attributes:
        dim: of a token. layers, heads: of the transformer. ffn: width of the two layers of a block.
        frequencies: of the embedding of the noise level.
    """

    dim: int
    layers: int
    heads: int
    ffn: int
    frequencies: int = 256

    def __post_init__(self) -> None:
        if self.dim % (2 * self.heads):
            raise ValueError(f"NetworkSize.dim: expected a multiple of {2 * self.heads}, found {self.dim}")


#: Sizes by name: 0.02, 3 and 53 million numbers with 148 features and text of 512.
SIZES = {
    "test": NetworkSize(16, 2, 2, 32, 16),
    "cpu": NetworkSize(192, 5, 6, 512),
    "gpu": NetworkSize(512, 12, 8, 2048),
}


class MotionTransformer(nn.Module):
    """Velocity ``(B, T, n)`` of standardised features of the same shape."""

    size: NetworkSize

    @nn.compact
    def __call__(
        self,
        x: Float[jax.Array, "B T n"],
        s: Float[jax.Array, " B"],
        text: Float[jax.Array, "B K m"],
        valid: Bool[jax.Array, "B T"] | None = None,
    ) -> jax.Array:
        """Predict at noise levels ``s`` in [0, 1] for embedded text; frames that are not ``valid`` are seen by none."""
        size, (_, frames, features) = self.size, x.shape
        tokens = Dense(size.dim, name="frame_embedding")(x)
        level, modulation, words = Condition(size.dim, size.frequencies, name="condition")(s, text, x.dtype)
        cosine, sine = rotary([np.arange(frames)], (size.dim // size.heads,))
        table = jnp.asarray(cosine), jnp.asarray(sine)
        mask = None if valid is None else valid[:, None, None, :]
        for i in range(size.layers):
            tokens = Block(size.heads, size.ffn, name=f"blocks_{i}")(tokens, words, modulation, table, mask)
        return Head(features, name="head")(tokens, level)
