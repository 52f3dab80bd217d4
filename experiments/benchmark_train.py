"""How fast training is beside the physics alone: ``python -m experiments.benchmark train``.

All parts do the same work in turns, a control step being four physics steps of every environment: "rollout" is
``mujoco.rollout`` on all cores under the feed-forward targets of the clip (the limit on a CPU); "environment" steps the
imitation task under the same targets, with observation, reward and resets; "train" is a whole iteration of PPO, in
samples per second. The configuration is that of configs/imitation.py, on the built-in walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from ml_collections import config_dict
from mujoco.rollout import Rollout

from mjxhuman.envs.imitation import Imitation
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.ppo import PPO
from mjxhuman.runs import describe, prepare_jax
from mjxhuman.runs.environment import cpu_count

from .benchmark_simulate import measure
from .launch import load_config
from .train_imitation import dataclass_of, environment


def rollout_call(env: Imitation, envs: int, steps: int) -> Callable[[], Any]:
    """A call that simulates the clip's feed-forward control with ``mujoco.rollout``, in float64."""
    model, substeps = env.simulator.actuated.model, env.simulator.substeps
    state = env.reset(jax.random.split(jax.random.key(0), envs))
    still = jnp.zeros((envs, env.action_size))
    targets = [env.target(state.task.replace(frame=state.task.frame + k), still) for k in range(steps)]
    ctrl = np.repeat(np.stack(targets, 1), substeps, axis=1).astype(float)
    initial = np.zeros((envs, mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)))
    initial[:, 1 : 1 + model.nq] = np.asarray(state.sim.qpos)
    initial[:, 1 + model.nq : 1 + model.nq + model.nv] = np.asarray(state.sim.qvel)
    threads = cpu_count()
    pool, data = Rollout(nthread=threads), [mujoco.MjData(model) for _ in range(threads)]
    return lambda: pool.rollout([model] * envs, data, initial, ctrl, nstep=ctrl.shape[1], skip_checks=True,
                                initial_warmstart=np.zeros((envs, model.nv)),
                                state=np.empty((envs, ctrl.shape[1], initial.shape[1])),
                                sensordata=np.empty((envs, ctrl.shape[1], model.nsensordata)))  # fmt: skip


def environment_call(env: Imitation, envs: int, steps: int) -> Callable[[], Any]:
    """A call that steps the task in one compiled program, under action 0."""
    still = jnp.zeros((envs, env.action_size))
    state = jax.jit(lambda env, keys: env.reset(keys))(env, jax.random.split(jax.random.key(0), envs))
    program = jax.jit(lambda env, s: jax.lax.scan(lambda s, _: (env.step(s, still), None), s, length=steps)[0])
    return lambda: jax.block_until_ready(program(env, state))


def train_call(env: Imitation, config: PPOConfig) -> Callable[[], Any]:
    """A call that trains for one iteration."""
    algorithm = PPO(config)
    iteration, kept = jax.jit(algorithm.iteration, donate_argnums=0), [algorithm.init(env)]

    def call() -> None:
        kept[0], *_ = jax.block_until_ready(iteration(kept[0], env))

    return call


def train(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of training; the keys are those of the JSON file."""
    prepare_jax()
    jax.config.update("jax_enable_compilation_cache", False)
    settings = load_config(f"imitation:{config.train.variant}")[1]
    settings.quiet = True
    env, *_ = environment(settings)
    learn = dataclass_of(PPOConfig, settings.ppo, "config.ppo")
    envs, steps = learn.num_envs, learn.unroll_length
    calls = {
        "rollout": rollout_call(env, envs, steps),
        "environment": environment_call(env, envs, steps),
        "train": train_call(env, learn),
    }
    rows = []
    for name, found in measure(calls, config.train.repeats).items():
        speed = envs * steps / found["best"]
        first = max(0.0, found["first"] - found["best"])
        rows.append({"part": name, "control_steps_per_s": speed, "compile_s": first, "memory_mb": found["memory"]})
        print(f"{name:12s} {speed:9,.0f} control steps/s  first call +{first:6.2f} s  +{found['memory']:6.0f} MB")
    return {
        "benchmark": "train", "environment": describe(), "config": settings.to_dict(), "engine": env.simulator.engine,
        "rows": rows,
    }  # fmt: skip


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Control steps per second of each part, and their share of plain rollout."""
    speed = {row["part"]: row["control_steps_per_s"] for row in result["rows"]}
    shares = {f"{name}_over_rollout": round(speed[name] / speed["rollout"], 2) for name in ("environment", "train")}
    return {f"{name}_control_steps_per_s": round(value) for name, value in speed.items()} | shares
