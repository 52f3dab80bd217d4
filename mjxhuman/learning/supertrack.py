"""Policies learned through a learned simulator, after SuperTrack (Fussell, Bergamin and Holden 2021, ACM TOG 40(6)).

Each iteration simulates the policy with noise, fits a network to the steps of the simulation that a replay buffer holds
(``step_model``), and follows the gradient of the environment's own reward through that network, over windows that begin
in states the simulation has been in. Where PPO learns from one number per step how good a whole action was, here every
axis of every action gets its slope.

The environment must be differentiable where its physics is: it offers ``dynamics``, ``transition``, ``resumed`` and
``imagined`` (``envs.env``). Rewards should have a slope wherever the body may be, which kernels ``exp(-k e^2)`` have
not; the tracking task's ``deviation`` has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Int

from mjxhuman.envs import Env, State
from mjxhuman.learning.algorithm import Algorithm, Metrics
from mjxhuman.learning.faults import Fault, metrics_fault
from mjxhuman.learning.networks import Networks, Params, averaged
from mjxhuman.learning.normalization import Statistics, new_statistics, normalize, update_statistics
from mjxhuman.learning.policy import Policy
from mjxhuman.learning.rollout import Actors, Rollout, adapt, rollout_metrics, start
from mjxhuman.learning.step_model import Phase, SimulatedStep, StepModel, StepModelState, save_step_model

#: The file of the step model in a run's folder.
STEP_MODEL = "step_model.npz"
#: Metrics of the policy's updates: the mean reward of the windows, and the norm of its gradient.
IMPROVED = ("imagined/reward", "policy/gradient_norm")


@dataclasses.dataclass(frozen=True)
class SuperTrackConfig:
    """What it learns with.

    Attributes:
        num_envs: environments. unroll_length: steps of each per iteration, a chunk of the replay buffer.
        chunks: that the buffer holds, a multiple of ``num_envs``.
        noise: lowest and highest standard deviation of the actions while simulating, spread over the environments.
        model_hidden: layers of the step model. model_updates: per iteration. model_batch: windows per gradient.
        model_window: steps of each. model_learning_rate: of Adam. model_precision: of the step model's numbers,
            "float32" or, faster where processors have units for it, "bfloat16".
        updates: of the policy per iteration. batch: windows per gradient, from the latest ``recent`` chunks.
            horizon: steps of each. learning_rate: of Adam. imagined_noise: deviation of the actions in them.
        warm_up: iterations in which only the step model learns.
        anneal: iterations over which both learning rates go to ``final_rate`` times their first values, geometrically;
            0: they stay, and the noise of the last updates is what is left of the model's error.
        max_grad_norm: gradients are scaled down to this norm.
        bounds_coef: weight of the squares of the mean action beyond +-1.
        average: share of the policy's running mean that each iteration keeps; the mean is what is judged and shipped.
        actor_hidden, activation: the policy's network. obs_clip: bound of normalised observations.
    """

    num_envs: int = 128
    unroll_length: int = 16
    chunks: int = 8192
    noise: tuple[float, float] = (0.02, 0.2)
    model_hidden: tuple[int, ...] = (512, 512, 512)
    model_updates: int = 8
    model_batch: int = 128
    model_window: int = 8
    model_learning_rate: float = 1e-3
    model_precision: str = "float32"
    updates: int = 6
    batch: int = 128
    recent: int = 2048
    horizon: int = 16
    learning_rate: float = 4.5e-4
    imagined_noise: float = 0.1
    warm_up: int = 150
    anneal: int = 0
    final_rate: float = 0.1
    max_grad_norm: float = 1.0
    bounds_coef: float = 1.0
    average: float = 0.9
    actor_hidden: tuple[int, ...] = (512, 256)
    activation: str = "silu"
    obs_clip: float = 5.0

    def rate(self, first: float, iteration: jax.Array) -> jax.Array:
        """A learning rate in an iteration, ()."""
        share = jnp.clip(iteration / self.anneal, 0.0, 1.0) if self.anneal else 0.0
        return jnp.asarray(first * self.final_rate**share, jnp.float32)

    def __post_init__(self) -> None:
        for name in ("noise", "model_hidden", "actor_hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("num_envs", "unroll_length", "model_updates", "model_batch", "updates", "batch", "horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"SuperTrackConfig.{name}: expected 1 or more, found {getattr(self, name)}")
        if not 0 < self.noise[0] <= self.noise[-1] or len(self.noise) != 2:
            raise ValueError(f"SuperTrackConfig.noise: expected two deviations above 0, found {self.noise}")
        if self.model_precision not in ("float32", "bfloat16"):
            raise ValueError(
                f"SuperTrackConfig.model_precision: expected float32 or bfloat16, found {self.model_precision!r}"
            )
        if not 0 < self.final_rate <= 1:
            raise ValueError(f"SuperTrackConfig.final_rate: expected a share above 0, found {self.final_rate}")
        if self.chunks < self.num_envs or self.chunks % self.num_envs:
            raise ValueError(
                f"SuperTrackConfig.chunks: expected a multiple of num_envs = {self.num_envs}, found {self.chunks}"
            )
        if not 0 < self.model_window <= self.unroll_length:
            raise ValueError(
                f"SuperTrackConfig.model_window: expected 1 to unroll_length = {self.unroll_length}, "
                f"found {self.model_window}"
            )
        if not 0 < self.recent <= self.chunks:
            raise ValueError(f"SuperTrackConfig.recent: expected 1 to chunks = {self.chunks}, found {self.recent}")


@struct.dataclass
class Replay:
    """The latest chunks of simulation, rows of N chunks of L steps, and where the next ones go."""

    steps: SimulatedStep  # (N, L, ...)
    task: Any  # the environment's task states before each step, (N, L, ...)
    filled: Int[jax.Array, ""]
    head: Int[jax.Array, ""]

    def added(self, steps: SimulatedStep, task: Any) -> Replay:
        """With new chunks (n, L, ...) in the place of the oldest."""
        count, room = len(steps.joined), len(self.steps.joined)

        def put(old: jax.Array, new: jax.Array) -> jax.Array:
            return jax.lax.dynamic_update_slice_in_dim(old, new, self.head, 0)

        kept, tasks = jax.tree.map(put, (self.steps, self.task), (steps, task))
        return Replay(kept, tasks, jnp.minimum(self.filled + count, room), (self.head + count) % room)

    def windows(self, rng: jax.Array, count: int, length: int, recent: int | None = None) -> tuple[SimulatedStep, Any]:
        """Windows (length, count, ...) of steps, of the ``recent`` newest chunks or of all, and their task states."""
        chunk_rng, first_rng = jax.random.split(rng)
        room, long = self.steps.joined.shape
        among = self.filled if recent is None else jnp.minimum(self.filled, recent)
        age = jax.random.randint(chunk_rng, (count,), 0, among)
        chunk = (self.head - 1 - age) % room
        step = jax.random.randint(first_rng, (count,), 0, long - length + 1) + jnp.arange(length)[:, None]
        steps, task = jax.tree.map(lambda x: x[chunk[None], step], (self.steps, self.task))
        return steps, task


@struct.dataclass
class SuperTrackState:
    """Everything that training changes; what a checkpoint holds."""

    iteration: jax.Array
    actor: Params
    actor_opt: Any
    model: StepModelState
    model_opt: Any
    statistics: Statistics  # of the policy's observations
    rng: jax.Array
    actors: Actors
    replay: Replay
    curriculum: Any
    average: Params


@dataclasses.dataclass(frozen=True)
class SuperTrack(Algorithm[SuperTrackState]):
    """The algorithm.

    Attributes:
        config: its numbers.
        start: a policy to begin with instead of a random one, which may see only the first of the observed numbers.
        model: a step model to begin with. One that has followed ``start`` through its training belongs to it: a fresh
            one, however small its error, gives slopes that ruin a good policy.
    """

    config: SuperTrackConfig
    start: Policy | None = dataclasses.field(default=None, compare=False, repr=False)
    model: StepModelState | None = dataclasses.field(default=None, compare=False, repr=False)
    name = "supertrack"

    @property
    def batch_size(self) -> int:
        """Samples per iteration."""
        return self.config.num_envs * self.config.unroll_length

    def facts(self) -> dict[str, Any]:
        """The configuration."""
        return dataclasses.asdict(self.config)

    def init(self, env: Env, seed: int = 0) -> SuperTrackState:
        """The state before the first iteration; the buffer holds a first roll-out, whose units the step model takes.

        Raises:
            ValueError: the environment cannot be imagined, or ``start`` or ``model`` is of another network.
        """
        missing = [x for x in ("dynamics", "transition", "resumed", "imagined") if not hasattr(env, x)]
        if missing:
            raise ValueError(
                f"supertrack: expected an environment with {', '.join(missing)} (envs.env), found none of it"
            )
        state = jax.jit(self._fresh)(env, jax.random.key(seed))
        return dataclasses.replace(state, curriculum=jax.tree.map(jnp.copy, getattr(env, "curriculum", None)))

    def _fresh(self, env: Any, rng: jax.Array) -> SuperTrackState:
        config, networks = self.config, self._networks(env)
        rng, network_rng, reset_rng, act_rng, model_rng = jax.random.split(rng, 5)
        params = networks.init(network_rng)
        actors = start(env, jax.random.split(reset_rng, config.num_envs))
        seen = actors.state.obs["state"]
        statistics = update_statistics(new_statistics(seen.shape[-1:]), seen)
        if self.start is not None:
            begun = self.start.widened(statistics)
            params, statistics = begun.into(params), begun.statistics
        actor = params["actor"]
        actors, steps, task, _, _ = self._collect(env, networks, actor, statistics, actors, act_rng)
        room = jax.tree.map(lambda x: jnp.zeros((config.chunks, *x.shape[1:]), x.dtype), (steps, task))
        zero = jnp.zeros((), jnp.int32)
        model = self._model(env).init(model_rng, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps))
        if self.model is not None:
            model = self.model.like(model)
        return SuperTrackState(
            iteration=zero, actor=actor, actor_opt=self._adam.init(actor), model=model,
            model_opt=self._adam.init(model.params), statistics=statistics, rng=rng, actors=actors,
            replay=Replay(room[0], room[1], zero, zero).added(steps, task), curriculum=None,
            average=jax.tree.map(jnp.copy, actor),
        )  # fmt: skip

    def iteration(
        self, state: SuperTrackState, env: Any, axis: str | None = None
    ) -> tuple[SuperTrackState, Metrics, Fault]:
        """Simulate, fit the step model, follow the gradient through it, let the environment adapt."""
        config, networks = self.config, self._networks(env)
        if state.curriculum is not None:
            env = dataclasses.replace(env, curriculum=state.curriculum)
        rng, act_rng, model_rng, actor_rng = jax.random.split(state.rng, 4)
        actors, steps, task, rollout, seen = self._collect(
            env, networks, state.actor, state.statistics, state.actors, act_rng
        )
        replay = state.replay.added(steps, task)
        model = self._model(env).seen(state.model, steps)
        rates = [config.rate(first, state.iteration) for first in (config.model_learning_rate, config.learning_rate)]
        model, model_opt, model_metrics = self._fit(env, model, state.model_opt, replay, model_rng, rates[0])
        actor, actor_opt, actor_metrics = jax.lax.cond(
            state.iteration < config.warm_up,
            lambda: (state.actor, state.actor_opt, {name: jnp.zeros(()) for name in IMPROVED}),
            lambda: self._improve(env, networks, state, model, replay, actor_rng, rates[1]),
        )
        env, after = adapt(env, actors.state, rollout, axis)
        average = averaged(state.average, actor, state.iteration, config.average)
        update = {**model_metrics, **actor_metrics}
        next_state = SuperTrackState(
            iteration=state.iteration + 1, actor=actor, actor_opt=actor_opt, model=model, model_opt=model_opt,
            statistics=update_statistics(state.statistics, seen), rng=rng,
            actors=dataclasses.replace(actors, state=after), replay=replay,
            curriculum=getattr(env, "curriculum", None), average=average,
        )  # fmt: skip
        return next_state, {**rollout_metrics(rollout, axis), **update}, metrics_fault(update)

    def policy(self, state: SuperTrackState, env: Env) -> Policy:
        """The averaged policy."""
        actor, statistics = jax.device_get((state.average, state.statistics))
        return Policy({"actor": actor}, statistics, self._networks(env), self.config.obs_clip)

    def save(self, folder: Path, state: SuperTrackState, facts: Mapping[str, Any]) -> None:
        """Write ``step_model.npz``, for runs that begin with this one's policy."""
        save_step_model(folder / STEP_MODEL, state.model, facts)

    def _collect(
        self, env: Any, networks: Networks, actor: Params, statistics: Statistics, actors: Actors, rng: jax.Array
    ) -> tuple[Actors, SimulatedStep, Any, Rollout, jax.Array]:
        """Act ``unroll_length`` times: chunks (N, L, ...) of steps and task states; the roll-out and what was seen."""
        config = self.config
        low, high = config.noise
        spread = (low * (high / low) ** jnp.linspace(0.0, 1.0, config.num_envs))[:, None]

        def step(carry: tuple[Actors, Phase, jax.Array], key: jax.Array) -> tuple[Any, Any]:
            actors, last, fresh = carry
            state = actors.state
            mean = self._act(networks, actor, statistics, state.obs["state"])
            action = mean + spread * jax.random.normal(key, mean.shape, mean.dtype)
            after, moved = env.transition(state, action)
            same = jax.tree.map(lambda a, b: jnp.all(a == b, -1), moved.before, last)
            joined = jax.tree.reduce(jnp.logical_and, same, ~fresh)
            returned, length = actors.returned + after.reward, actors.length + 1
            metrics = {**after.metrics, "episode/return": returned, "episode/length": length.astype(jnp.float32)}
            out = (
                SimulatedStep(moved.before, moved.ctrl, moved.after, joined), state.task, state.obs["state"], action,
                mean, (after.reward, after.done, after.truncation, metrics),
            )  # fmt: skip
            again = Actors(after, jnp.where(after.done, 0.0, returned), jnp.where(after.done, 0, length))
            return (again, moved.after, after.done), out

        nowhere = jax.tree.map(jnp.zeros_like, jax.eval_shape(env.transition, actors.state, self._none(env))[1].after)
        begun = (actors, nowhere, jnp.ones(config.num_envs, bool))
        (actors, _, _), out = jax.lax.scan(step, begun, jax.random.split(rng, config.unroll_length))
        steps, task, seen, action, mean, (reward, done, truncation, metrics) = out
        rollout = Rollout({}, action, mean, jnp.zeros_like(reward), reward, done, truncation, metrics, {})
        chunks = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (steps, task))
        return actors, *chunks, rollout, seen

    def _fit(
        self, env: Any, model: StepModelState, opt: Any, replay: Replay, rng: jax.Array, rate: jax.Array
    ) -> tuple[StepModelState, Any, Metrics]:
        """The step model after its updates."""
        config, network = self.config, self._model(env)

        def update(carry: tuple[StepModelState, Any], key: jax.Array) -> tuple[Any, jax.Array]:
            model, opt = carry
            steps, _ = replay.windows(key, config.model_batch, config.model_window)

            def loss(params: Params) -> jax.Array:
                return network.loss(dataclasses.replace(model, params=params), steps)

            error, grads = jax.value_and_grad(loss)(model.params)
            direction, opt = self._adam.update(grads, opt)
            params = jax.tree.map(lambda p, d: p - rate * d, model.params, direction)
            return (dataclasses.replace(model, params=params), opt), error

        (model, opt), error = jax.lax.scan(update, (model, opt), jax.random.split(rng, config.model_updates))
        return model, opt, {"model/error": jnp.mean(error)}

    def _improve(
        self, env: Any, networks: Networks, state: SuperTrackState, model: StepModelState, replay: Replay,
        rng: jax.Array, rate: jax.Array,
    ) -> tuple[Params, Any, Metrics]:  # fmt: skip
        """The policy after its updates."""
        config, network = self.config, self._model(env)
        statistics = state.statistics
        imagined = env.imagined(lambda phase, ctrl: network(model, phase, ctrl))

        def loss(actor: Params, first: State, rng: jax.Array) -> tuple[jax.Array, jax.Array]:
            def step(carry: tuple[State, jax.Array], key: jax.Array) -> tuple[Any, Any]:
                state, going = carry
                mean = self._act(networks, actor, statistics, state.obs["state"])
                action = mean + config.imagined_noise * jax.random.normal(key, mean.shape, mean.dtype)
                after = imagined.step(state, action)
                beyond = jnp.mean(jnp.square(jnp.maximum(jnp.abs(mean) - 1.0, 0.0)))
                return (after, going & ~after.done), (jnp.where(going, after.reward, 0.0), going, beyond)

            begun = (first, jnp.ones_like(first.done))
            _, (reward, counted, beyond) = jax.lax.scan(step, begun, jax.random.split(rng, config.horizon))
            mean = jnp.sum(reward) / jnp.sum(counted)
            return config.bounds_coef * jnp.mean(beyond) - mean, mean

        def update(carry: tuple[Params, Any], key: jax.Array) -> tuple[Any, Metrics]:
            actor, opt = carry
            window_rng, begin_rng, act_rng = jax.random.split(key, 3)
            steps, task = replay.windows(window_rng, config.batch, 1, config.recent)
            before, task = jax.tree.map(lambda x: x[0], (steps.before, task))
            first = imagined.resumed(jax.random.split(begin_rng, config.batch), before, task)
            grads, reward = jax.grad(loss, has_aux=True)(actor, first, act_rng)
            direction, opt = self._adam.update(grads, opt)
            actor = jax.tree.map(lambda p, d: p - rate * d, actor, direction)
            return (actor, opt), dict(zip(IMPROVED, (reward, optax.tree.norm(grads)), strict=True))

        begun = (state.actor, state.actor_opt)
        (actor, opt), metrics = jax.lax.scan(update, begun, jax.random.split(rng, config.updates))
        return actor, opt, jax.tree.map(jnp.mean, metrics)

    def _act(self, networks: Networks, actor: Params, statistics: Statistics, seen: jax.Array) -> jax.Array:
        return networks.policy({"actor": actor}, normalize(statistics, seen, self.config.obs_clip))[0]

    def _none(self, env: Env) -> jax.Array:
        return jnp.zeros((self.config.num_envs, env.action_size), jnp.float32)

    def _networks(self, env: Env) -> Networks:
        """The policy's network; nothing judges it."""
        size = env.observation_sizes["state"]
        return Networks(
            (size, size), env.action_size, self.config.actor_hidden, (), self.config.activation, -2.0, learn_std=False
        )

    def _model(self, env: Any) -> StepModel:
        return StepModel(env.dynamics, self.config.model_hidden, self.config.model_precision)

    @property
    def _adam(self) -> optax.GradientTransformation:
        """Directions; the rates are applied by hand."""
        return optax.chain(optax.clip_by_global_norm(self.config.max_grad_norm), optax.scale_by_adam())
