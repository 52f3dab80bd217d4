"""Agents that have learned nothing: what an environment and its body do by themselves, to compare a policy with."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import struct

#: "zero": no action. "random": uniform in [-1, 1], drawn from the bits of what is seen, so that roll-outs repeat.
AGENTS = ("zero", "random")


@struct.dataclass
class Agent:
    """Called like a ``Policy``; ``kind`` is one of ``AGENTS``."""

    kind: str = struct.field(pytree_node=False)
    action_size: int = struct.field(pytree_node=False)

    def __call__(self, obs: Mapping[str, jax.Array]) -> jax.Array:
        """Actions (*b, n) for observation groups; the group "state" (*b, m) is used."""
        seen = obs["state"]
        if self.kind == "zero":
            return jnp.zeros((*seen.shape[:-1], self.action_size), seen.dtype)
        bits = jax.lax.bitcast_convert_type(seen.astype(jnp.float32), jnp.uint32)
        place = 2 * jnp.arange(seen.shape[-1], dtype=jnp.uint32) + 1
        seed = jnp.sum(bits * place, -1, dtype=jnp.uint32)  # modulo 2^32: every bit counts

        def draw(seed: jax.Array) -> jax.Array:
            return jax.random.uniform(jax.random.key(seed), (self.action_size,), seen.dtype, -1.0, 1.0)

        return jnp.vectorize(draw, signature="()->(n)")(seed)
