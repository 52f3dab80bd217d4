"""The network of the motion generator: features of noised motion, a noise level and text to a velocity.

It is made of the blocks of Wan's transformer, one token for one or two frames, rotary positions in time. It predicts
the data, and the velocity follows: motion is simpler than noise, which a token narrower than what it stands for cannot
carry (Li and He 2025, arXiv 2511.13720).
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
        frequencies: of the embedding of the noise level. patch: frames of a token.
    """

    dim: int
    layers: int
    heads: int
    ffn: int
    frequencies: int = 256
    patch: int = 1

    def __post_init__(self) -> None:
        if self.dim % (2 * self.heads):
            raise ValueError(f"NetworkSize.dim: expected a multiple of {2 * self.heads}, found {self.dim}")
        if self.patch < 1:
            raise ValueError(f"NetworkSize.patch: expected 1 or more, found {self.patch}")


#: Sizes by name: 0.03, 3 and 53 million numbers with 148 features and text of 512.
SIZES = {
    "test": NetworkSize(16, 2, 2, 32, 16, 2),
    "cpu": NetworkSize(192, 5, 6, 512, patch=2),
    "gpu": NetworkSize(512, 12, 8, 2048),
}


#: Noise level that the velocity is found with at lower ones, so that nothing is divided by nothing.
LEAST_LEVEL = 0.05


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
        size, (count, frames, features) = self.size, x.shape
        tokens = -(-frames // size.patch)
        mask = None
        if valid is not None:
            x = jnp.where(valid[..., None], x, 0.0)
            spare = jnp.pad(valid, ((0, 0), (0, tokens * size.patch - frames)))
            mask = jnp.any(spare.reshape(count, tokens, size.patch), -1)[:, None, None, :]
        x = jnp.pad(x, ((0, 0), (0, tokens * size.patch - frames), (0, 0)))
        y = Dense(size.dim, name="frame_embedding")(x.reshape(count, tokens, -1))
        level, modulation, words = Condition(size.dim, size.frequencies, name="condition")(s, text, x.dtype)
        cosine, sine = rotary([np.arange(tokens)], (size.dim // size.heads,))
        table = jnp.asarray(cosine), jnp.asarray(sine)
        for i in range(size.layers):
            y = Block(size.heads, size.ffn, name=f"blocks_{i}")(y, words, modulation, table, mask)
        data = Head(size.patch * features, name="head")(y, level)
        data = data.reshape(x.shape)
        velocity = (x - data) / jnp.maximum(s, LEAST_LEVEL)[:, None, None].astype(x.dtype)
        return velocity[:, :frames]
