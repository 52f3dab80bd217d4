"""A point mass that shall follow its own moving target: solved within seconds, with failures and time-outs."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjxhuman.envs import State, auto_reset, first_state, split
from mjxhuman.learning.config import AMPConfig, PPOConfig
from mjxhuman.learning.ppo import PPO

DT = 0.1
LIMIT = 3.0  # m from the target: failure


@struct.dataclass
class Task:
    """Position and velocity of the mass and phase of its target (*b, 2), steps since the reset (*b)."""

    position: jax.Array
    velocity: jax.Array
    phase: jax.Array
    step: jax.Array


@struct.dataclass
class PointMass:
    """Two axes; reward exp(-2 d^2) of the distance d to a target on a circle; time-out after 40 steps."""

    radius: jax.Array
    curriculum: jax.Array  # largest distance from the target at the start of an episode
    privileged: bool = struct.field(pytree_node=False, default=False)

    @property
    def action_size(self) -> int:
        return 2

    @property
    def observation_sizes(self) -> dict[str, int]:
        return {"state": 6, **({"privileged_state": 8} if self.privileged else {})}

    def target(self, phase: jax.Array) -> jax.Array:
        return self.radius * jnp.stack([jnp.cos(phase), jnp.sin(phase)], axis=-1)

    def observe(self, task: Task) -> dict[str, jax.Array]:
        error = self.target(task.phase) - task.position
        ahead = self.target(task.phase + 0.1) - task.position
        state = jnp.concatenate([error, ahead, task.velocity], axis=-1)
        if not self.privileged:
            return {"state": state}
        return {"state": state, "privileged_state": jnp.concatenate([state, task.position], axis=-1)}

    def reset(self, rng: jax.Array) -> State:
        rng, phase_rng, place_rng = split(rng, 3)
        phase = jax.vmap(lambda key: jax.random.uniform(key, (), maxval=6.28))(phase_rng)
        place = jax.vmap(lambda key: jax.random.uniform(key, (2,), minval=-1.0))(place_rng)
        position = self.target(phase) + self.curriculum * place
        task = Task(position, jnp.zeros_like(position), phase, jnp.zeros(phase.shape, jnp.int32))
        return first_state(rng, self.observe(task), task=task, metrics=("distance", "episode/success", "_place"))

    def step(self, state: State, action: jax.Array) -> State:
        old = state.task
        task = Task(*self.move(old, action), old.phase + 0.1, old.step + 1)
        distance = jnp.linalg.norm(self.target(task.phase) - task.position, axis=-1)
        failed, timeout = distance > LIMIT, task.step >= 40
        state = dataclasses.replace(
            state,
            task=task,
            obs=self.observe(task),
            reward=jnp.exp(-2 * distance**2),
            done=failed | timeout,
            truncation=timeout & ~failed,
            metrics={"distance": distance, "episode/success": 1.0 - failed.astype(jnp.float32), "_place": task.phase},
        )
        return auto_reset(state, self.reset(state.rng))

    def move(self, task: Task, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        velocity = 0.9 * task.velocity + DT * 5.0 * jnp.clip(action, -1, 1)
        return task.position + DT * velocity, velocity

    def adapt(self, state: State, rollout: dict[str, jax.Array]) -> tuple[PointMass, State]:
        near = jnp.mean(rollout["distance"]) < 0.5
        return dataclasses.replace(self, curriculum=jnp.where(near, self.curriculum + 0.01, self.curriculum)), state


def point_mass(privileged: bool = False) -> PointMass:
    return PointMass(jnp.float32(1.0), jnp.float32(1.0), privileged)


def small_config(**changes: Any) -> PPOConfig:
    """Networks and batches that compile and learn within seconds."""
    values = {
        "num_envs": 64, "unroll_length": 16, "num_epochs": 4, "minibatch_size": 256, "learning_rate": 1e-3,
        "log_std": -1.0, "actor_hidden": (64, 64), "critic_hidden": (64, 64), "activation": "elu",
        "critic_coef": 1.0, "max_grad_norm": 1.0,
    }  # fmt: skip
    return PPOConfig(**{**values, **changes})


def small_ppo(**changes: Any) -> PPO:
    """PPO with them."""
    return PPO(small_config(**changes))


def style_config() -> AMPConfig:
    """A discriminator as small as the toy."""
    return AMPConfig(hidden=(16,), batch_size=32, replay_size=200, replay_add=20, demo_size=200, demo_add=20)


@struct.dataclass
class CalledBack(PointMass):
    """The same with its dynamics in NumPy, called back as a physics engine is, and with style windows."""

    @property
    def observation_sizes(self) -> dict[str, int]:
        return {"state": 6, "amp": 6}

    def observe(self, task: Task) -> dict[str, jax.Array]:
        obs = super().observe(task)
        return {**obs, "amp": obs["state"]}

    def move(self, task: Task, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (task.position, task.velocity))
        return jax.pure_callback(_move, shapes, task.position, task.velocity, action)

    def demonstrations(self, rng: jax.Array, n: int) -> jax.Array:
        return 0.1 * jax.random.normal(rng, (n, 6))


def _move(position: np.ndarray, velocity: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    velocity = 0.9 * np.asarray(velocity) + np.float32(0.5) * np.clip(np.asarray(action), -1, 1)
    return np.asarray(position) + np.float32(DT) * velocity, velocity.astype(np.float32)


def called_back() -> CalledBack:
    return CalledBack(jnp.float32(1.0), jnp.float32(1.0))
