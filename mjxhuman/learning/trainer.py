"""A training run: iterations, logs, evaluations and checkpoints in one folder, continued where it stopped.

The folder holds ``run.json`` (configuration, versions, commit and command of every session), ``metrics.jsonl``,
``tensorboard/``, ``checkpoints/`` and ``policy.npz`` (the latest), ``best.npz`` (of the best evaluation).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Algorithm, Iteration
from mjxhuman.learning.faults import Fault, NotFinite, dump_fault, first_wrong
from mjxhuman.learning.policy import Policy, save_policy
from mjxhuman.learning.sharding import make_sharded_iteration, shard
from mjxhuman.runs import atomic_write, describe, progress
from mjxhuman.runs.checkpoints import Checkpoints
from mjxhuman.runs.devices import make_mesh, replicate
from mjxhuman.runs.loop import stop_flag
from mjxhuman.runs.metrics import MetricsWriter

S = TypeVar("S")
Evaluate = Callable[[Policy, int], Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a run is carried out; nothing here changes what is learned, so all of it may differ when a run continues.

    Attributes:
        folder: of the run. A run found there is continued.
        iterations: of the whole run, earlier sessions included.
        max_seconds: stop after so long (with a checkpoint); 0 for no limit.
        checkpoint_every, evaluate_every: iterations between; 0 for only at the end. Each evaluation is followed by a
            checkpoint.
        keep: checkpoints kept besides the best.
        tensorboard: write event files. wandb: project to log to, empty for none.
        quiet: no progress bar.
    """

    folder: str
    iterations: int
    max_seconds: float = 0.0
    checkpoint_every: int = 100
    evaluate_every: int = 0
    keep: int = 3
    tensorboard: bool = True
    wandb: str = ""
    quiet: bool = False


def train(
    env: Env,
    algorithm: Algorithm[S],
    options: TrainOptions,
    *,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
) -> S:
    """Train, or continue the run in ``options.folder``, until ``options.iterations``.

    A run that was killed continues from its last checkpoint and then is, on a CPU, bit for bit the uninterrupted one.
    Where JAX has several devices, or processes after ``jax.distributed.initialize``, the environments are spread over
    all of them; the first process writes. SIGINT and SIGTERM end it after the current iteration, with a checkpoint.

    Args:
        env: the environment.
        algorithm: what learns, ``PPO(config)`` for example.
        options: of the run.
        seed: of everything random.
        facts: JSON-ready settings of the environment ("humanoid", "observations", clips); a continuation must share
            them, and they go into the policy files.
        evaluate: called (in every process) with the policy and the iteration; returns scalars to log. Its "score",
            higher better, chooses the best checkpoint and ``best.npz``.

    Raises:
        CheckpointMismatch: the folder's run has another algorithm, configuration, seed, environment or facts.
        NotFinite: a number stopped being finite.
        OSError: a checkpoint could not be written; the earlier ones are intact.
    """
    folder = Path(options.folder)
    checkpoints = Checkpoints(folder / "checkpoints", options.keep)
    shared = {algorithm.name: algorithm.facts(), "seed": seed, "env": dict(facts or {}), "sizes": _sizes(env)}
    done, state = 0, algorithm.init(env, seed)
    if jax.device_count() > 1:
        mesh = make_mesh()
        iteration = make_sharded_iteration(algorithm, mesh, state)
        state, env = shard(algorithm, state, mesh), replicate(env, mesh)
    else:
        iteration = jax.jit(algorithm.iteration, donate_argnums=0)
    if checkpoints.steps:
        done, state = checkpoints.restore(state, shared)
    with ExitStack() as stack:
        stack.callback(checkpoints.close)
        writer = None
        if jax.process_index() == 0:
            _note_session(folder, shared, done)
            places = MetricsWriter(
                folder, step=done, tensorboard=options.tensorboard, wandb=options.wandb, config=shared
            )
            writer = stack.enter_context(places)
        run = Run(env, algorithm, options, shared, checkpoints, evaluate, writer)
        return run.loop(done, state, iteration)


@dataclasses.dataclass
class Run(Generic[S]):
    """The parts of a run that its loop uses."""

    env: Env
    algorithm: Algorithm[S]
    options: TrainOptions
    facts: dict[str, Any]
    checkpoints: Checkpoints
    evaluate: Evaluate | None
    writer: MetricsWriter | None  # of the first process

    def loop(self, done: int, state: S, iteration: Iteration[S]) -> S:
        """Iterate, from ``done`` iterations on, until the end, the time limit or a signal."""
        options, size, started = self.options, self.algorithm.batch_size, time.monotonic()
        quiet = options.quiet or self.writer is None
        with (
            stop_flag() as stop,
            progress(options.iterations, unit="it", label="train", quiet=quiet, initial=done) as bar,
        ):
            last = done >= options.iterations
            while not last:
                began = time.monotonic()
                state, metrics, fault = jax.block_until_ready(iteration(state, self.env))
                done += 1
                values = {name: float(value) for name, value in jax.device_get(metrics).items()}
                values["speed/steps_per_second"] = size / (time.monotonic() - began)
                values["steps"] = done * size
                self._check(done, fault)
                late = 0 < options.max_seconds < time.monotonic() - started
                last = _agreed(done >= options.iterations or late or bool(stop))
                self._record(done, state, values, last)
                bar.set_postfix_str(_postfix(values))
                bar.update(1)
        return state

    def _record(self, done: int, state: S, values: dict[str, float], last: bool) -> None:
        """Evaluate if due, write the metrics, and a checkpoint if due."""
        judged = self.evaluate is not None and (last or _due(done, self.options.evaluate_every))
        if judged:
            values |= self._evaluated(state, done)
        if self.writer is not None:
            self.writer.write(done, values)
        if last or judged or _due(done, self.options.checkpoint_every):
            self._save(done, state, values.get("evaluate/score"))

    def _evaluated(self, state: S, done: int) -> dict[str, float]:
        assert self.evaluate is not None
        judged = self.evaluate(self.algorithm.policy(state, self.env), done)
        return {f"evaluate/{name}": float(value) for name, value in judged.items()}

    def _save(self, done: int, state: S, score: float | None) -> None:
        """Policy files, then the checkpoint: a run killed in between writes the same files again."""
        if self.writer is not None:
            name = self.algorithm.name
            meta = {**self.facts["env"], name: self.facts[name], "seed": self.facts["seed"], "iteration": done}
            meta |= {"steps": done * self.algorithm.batch_size, "score": score}
            policy = self.algorithm.policy(state, self.env)
            names = ("policy.npz", "best.npz") if self.checkpoints.is_best(score) else ("policy.npz",)
            for file in names:
                save_policy(Path(self.options.folder) / file, policy, meta)
            self.algorithm.save(Path(self.options.folder), state, meta)
        self.checkpoints.save(done, state, self.facts, score)

    def _check(self, done: int, fault: Fault) -> None:
        """Stop at the first number that is not finite.

        Raises:
            NotFinite: with the term and the file that holds the states.
        """
        if (wrong := first_wrong(fault)) is None:
            return
        term, where, others = wrong
        host = f"_host{jax.process_index()}" if jax.process_count() > 1 else ""
        path = dump_fault(Path(self.options.folder) / f"not_finite_{done}{host}.npz", fault)
        kept = self.checkpoints.steps
        raise NotFinite(
            f"iteration {done}: {term!r} is not finite (first at {where}; also: {', '.join(others) or 'nothing'}). "
            f"States before it: {path or 'not kept'}. Last checkpoint: {kept[-1] if kept else 'none'}."
        )


def _agreed(stop: bool) -> bool:
    """The first process's decision to stop, in every process."""
    if jax.process_count() == 1:
        return stop
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return bool(broadcast_one_to_all(np.asarray(stop)))


def _sizes(env: Env) -> dict[str, Any]:
    return {"action": env.action_size, "observations": dict(env.observation_sizes)}


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _postfix(values: Mapping[str, float]) -> str:
    unknown = float("nan")
    reward = values.get("reward", unknown)
    success = values.get("episode/success", values.get("episode/timeout", unknown))
    return f"{values['speed/steps_per_second']:,.0f} steps/s, reward {reward:.3f}, success {success:.0%}"


def _note_session(folder: Path, facts: Mapping[str, Any], iteration: int) -> None:
    """Append this session to ``run.json``."""
    path = folder / "run.json"
    earlier = json.loads(path.read_text())["sessions"] if path.exists() else []
    session = {"iteration": iteration, "command": sys.argv, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **describe()}
    with atomic_write(path) as file:
        json.dump({"config": facts, "sessions": [*earlier, session]}, file, indent=1)
