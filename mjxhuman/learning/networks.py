"""Actor and critic: two multilayer perceptrons, and the diagonal Gaussian between them and the actions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Params = Any  # nested dict of arrays

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": nn.silu,
    "relu": nn.relu,
    "elu": nn.elu,
    "tanh": jnp.tanh,
}
HIDDEN_GAIN = math.sqrt(2.0)  # orthogonal initialisation that keeps the variance through ReLU-like units (He 2015)
ACTION_GAIN = 0.01  # the first policy acts near zero, whatever it sees (Andrychowicz et al. 2021)


class MLP(nn.Module):
    """Dense layers (*b, n) -> (*b, out) with orthogonal weights and zero biases; the last layer is linear."""

    hidden: Sequence[int]
    out: int
    activation: str = "silu"
    out_init: Callable[..., jax.Array] = nn.initializers.orthogonal(1.0)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layers."""
        act = ACTIVATIONS[self.activation]
        for i, size in enumerate(self.hidden):
            x = act(nn.Dense(size, kernel_init=nn.initializers.orthogonal(HIDDEN_GAIN), name=f"hidden_{i}")(x))
        return nn.Dense(self.out, kernel_init=self.out_init, name="out")(x)


def apply(module: nn.Module, params: Params, x: jax.Array, precision: str | None = None) -> jax.Array:
    """Output of a network with one array in and out; with ``precision`` computed in numbers of that type."""
    if precision is None:
        out: Any = module.apply({"params": params}, x)
        return out
    lowered, seen = jax.tree.map(lambda a: a.astype(precision), (params, x))
    out = module.apply({"params": lowered}, seen)
    return out.astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class Networks:
    """Shapes of actor and critic; the parameters are ``{"actor", "critic"}`` and, if learned, ``"log_std"``.

    Attributes:
        observation: sizes of the groups (n_actor, n_critic).
        action_size: number of action components.
        actor_hidden, critic_hidden: sizes of the hidden layers.
        activation: a name of ``ACTIVATIONS``.
        log_std: logarithm of the standard deviation of the actions; where it is learned, its first value.
        learn_std: one parameter per action component instead of the constant.
    """

    observation: tuple[int, int]
    action_size: int
    actor_hidden: tuple[int, ...]
    critic_hidden: tuple[int, ...]
    activation: str
    log_std: float
    learn_std: bool

    def init(self, rng: jax.Array) -> Params:
        """Fresh parameters from one key."""
        actor_rng, critic_rng = jax.random.split(rng)
        params = {
            "actor": self._actor.init(actor_rng, jnp.zeros((1, self.observation[0])))["params"],
            "critic": self._critic.init(critic_rng, jnp.zeros((1, self.observation[1])))["params"],
        }
        if self.learn_std:
            params["log_std"] = jnp.full(self.action_size, self.log_std, jnp.float32)
        return params

    def policy(self, params: Params, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean (*b, action_size) and log standard deviation (action_size,) for normalised observations."""
        mean = apply(self._actor, params["actor"], observation)
        constant = jnp.full(self.action_size, self.log_std, jnp.float32)
        return mean, params["log_std"] if self.learn_std else constant

    def value(self, params: Params, observation: jax.Array) -> jax.Array:
        """Normalised value (*b) of normalised observations of the critic's group."""
        return apply(self._critic, params["critic"], observation)[..., 0]

    @property
    def _actor(self) -> MLP:
        return MLP(self.actor_hidden, self.action_size, self.activation, nn.initializers.orthogonal(ACTION_GAIN))

    @property
    def _critic(self) -> MLP:
        return MLP(self.critic_hidden, 1, self.activation)


def averaged(average: Params, latest: Params, iteration: jax.Array, keep: float) -> Params:
    """The running mean of parameters with the latest; of fewer iterations at the start."""
    share = jnp.minimum(keep, iteration / (iteration + 10.0))
    return jax.tree.map(lambda old, new: share * old + (1.0 - share) * new, average, latest)


def log_prob(action: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log density (*b) of actions (*b, n) under the diagonal Gaussian."""
    z = (action - mean) * jnp.exp(-log_std)
    constant = 0.5 * action.shape[-1] * math.log(2 * math.pi)
    return -0.5 * jnp.sum(jnp.square(z), axis=-1) - jnp.sum(log_std) - constant


def entropy(log_std: jax.Array) -> jax.Array:
    """Entropy () of the diagonal Gaussian in nats."""
    return jnp.sum(log_std) + 0.5 * log_std.shape[-1] * math.log(2 * math.pi * math.e)


def kl_divergence(old: tuple[jax.Array, jax.Array], new: tuple[jax.Array, jax.Array]) -> jax.Array:
    """KL(old || new) (*b) of diagonal Gaussians (mean (*b, n), log_std (n,)), in nats."""
    (old_mean, old_log_std), (new_mean, new_log_std) = old, new
    moved = jnp.square((old_mean - new_mean) * jnp.exp(-new_log_std))
    widened = jnp.exp(2 * (old_log_std - new_log_std))
    return jnp.sum(new_log_std - old_log_std + 0.5 * (widened + moved - 1), axis=-1)
