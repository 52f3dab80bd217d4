"""What PPO and its adversarial reward learn with."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from mjxhuman.learning.networks import ACTIVATIONS

PHC_HIDDEN = (2048, 1536, 1024, 1024, 512, 512)


@dataclasses.dataclass(frozen=True)
class AMPConfig:
    """What the discriminator learns with. Sizes count samples over all devices.

    Attributes:
        task_weight, style_weight: reward = task_weight * reward of the environment + style_weight * style reward.
        reward_scale: factor on the style reward.
        hidden: layers of the discriminator (ReLU).
        coef: weight of its loss beside PPO's.
        gradient_penalty: weight of the squared gradient of its output at the demonstrations.
        logit_decay, weight_decay: weights of the squares of its last and of all its matrices.
        batch_size: samples of each kind (agent, replay, demonstrations) per gradient.
        replay_size, replay_add: windows of the agent kept from earlier iterations, and taken over per iteration.
        demo_size, demo_add: demonstrations kept, and drawn anew per iteration.
    """

    task_weight: float = 0.5
    style_weight: float = 0.5
    reward_scale: float = 2.0
    hidden: tuple[int, ...] = (1024, 512)
    coef: float = 5.0
    gradient_penalty: float = 5.0
    logit_decay: float = 0.01
    weight_decay: float = 1e-4
    batch_size: int = 4096
    replay_size: int = 200_000
    replay_add: int = 1000
    demo_size: int = 200_000
    demo_add: int = 500

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for kept, added in (("replay_size", "replay_add"), ("demo_size", "demo_add")):
            if not 0 < getattr(self, added) <= getattr(self, kept):
                raise ValueError(
                    f"AMPConfig.{added}: expected 1 to {kept} = {getattr(self, kept)}, found {getattr(self, added)}"
                )


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """What PPO learns with. Sizes count samples over all devices.

    Attributes:
        num_envs: environments. unroll_length: steps of each per iteration.
        num_epochs: passes over the batch of num_envs * unroll_length samples. minibatch_size: samples per gradient.
        gamma, gae_lambda: discount, and decay of the advantage's trace, per control step.
        learning_rate: of Adam; where ``desired_kl`` is above 0 only the first one: it is then divided or multiplied
            by 1.5 after each minibatch whose KL divergence is above twice or below half of it, within
            ``learning_rate_range`` (rsl_rl).
        clip: the probability ratio counts within 1 +- clip.
        critic_coef, entropy_coef, bounds_coef: weights of the losses; bounds: squares of the mean beyond +-1.
        max_grad_norm: the gradient of all parameters together is scaled down to this norm.
        log_std: logarithm of the standard deviation of the actions. learn_std: adapt it, per action component.
        anneal: iterations over which ``desired_kl`` goes to ``final_kl``, geometrically, and the largest learned
            ``log_std`` from its first value to ``final_log_std``; 0: neither changes.
        average: share of the policy's running mean that each iteration keeps; the mean is what is judged and shipped,
            because the last steps are mostly noise. 0: the parameters themselves.
        group_advantages: give the advantages zero mean and unit variance in each of the environment's groups (metric
            "_group", the clip of the tracking task), so that easy ones do not drown in hard ones.
        actor_hidden, critic_hidden, activation: the networks.
        critic_obs: observation group of the critic; the actor sees "state".
        obs_clip: bound of normalised observations.
        normalize_value: the critic predicts the return in units of its running standard deviation.
        reward_scale: factor on the reward.
        amp: the adversarial style reward, None without.
    """

    num_envs: int = 3072
    unroll_length: int = 32
    num_epochs: int = 6
    minibatch_size: int = 16384
    gamma: float = 0.99
    gae_lambda: float = 0.95
    learning_rate: float = 2e-5
    desired_kl: float = 0.0
    learning_rate_range: tuple[float, float] = (1e-5, 1e-2)
    clip: float = 0.2
    critic_coef: float = 5.0
    entropy_coef: float = 0.0
    bounds_coef: float = 10.0
    max_grad_norm: float = 50.0
    log_std: float = -2.9
    learn_std: bool = False
    anneal: int = 0
    final_kl: float = 0.008
    final_log_std: float = -2.5
    average: float = 0.0
    group_advantages: bool = False
    actor_hidden: tuple[int, ...] = PHC_HIDDEN
    critic_hidden: tuple[int, ...] = PHC_HIDDEN
    activation: str = "silu"
    critic_obs: str = "state"
    obs_clip: float = 5.0
    normalize_value: bool = True
    reward_scale: float = 1.0
    amp: AMPConfig | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate_range", "actor_hidden", "critic_hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("num_envs", "unroll_length", "num_epochs", "minibatch_size"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise ValueError(f"PPOConfig.{name}: expected a positive integer, found {getattr(self, name)!r}")
        if self.batch_size % self.minibatch_size:
            raise ValueError(
                f"PPOConfig.minibatch_size: expected a divisor of num_envs * unroll_length = {self.batch_size}, "
                f"found {self.minibatch_size}"
            )
        if not 0.0 <= self.average < 1.0:
            raise ValueError(f"PPOConfig.average: expected a share in [0, 1), found {self.average}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"PPOConfig.activation: expected one of {', '.join(ACTIVATIONS)}, found {self.activation!r}"
            )

    def annealed(self, iteration: jax.Array) -> tuple[jax.Array, jax.Array]:
        """KL divergence aimed at and largest logarithm of the standard deviation in an iteration, ()."""
        if not self.anneal:
            return jnp.asarray(self.desired_kl), jnp.asarray(jnp.inf)
        share = jnp.clip(iteration / self.anneal, 0.0, 1.0)
        kl = self.desired_kl * (self.final_kl / max(self.desired_kl, 1e-9)) ** share
        return kl, self.log_std + share * (self.final_log_std - self.log_std)

    @property
    def batch_size(self) -> int:
        """Samples per iteration."""
        return self.num_envs * self.unroll_length
