"""A training run: iterations, logs, evaluations and checkpoints in one folder, continued where it stopped.

The folder holds ``run.json`` (configuration, versions, commit and command of every session), ``metrics.jsonl``,
``tensorboard/``, ``checkpoints/`` and ``policy.npz`` (the latest), ``best.npz`` (of the best evaluation).
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxhuman.envs import Env
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.policy import Policy, save_policy
from mjxhuman.learning.ppo import Iteration, TrainState, init, make_iteration, make_networks
from mjxhuman.learning.rollout import Fault
from mjxhuman.learning.sharding import local, make_mesh, make_sharded_iteration, replicate, shard
from mjxhuman.runs import atomic_write, describe, progress
from mjxhuman.runs.checkpoints import Checkpoints
from mjxhuman.runs.metrics import MetricsWriter

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


class NotFinite(FloatingPointError):
    """A number of the training stopped being finite; the message names it and the file with the states."""


def train(
    env: Env,
    config: PPOConfig,
    options: TrainOptions,
    *,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
) -> TrainState:
    """Train, or continue the run in ``options.folder``, until ``options.iterations``.

    A run that was killed continues from its last checkpoint and then is, on a CPU, bit for bit the uninterrupted one.
    Where JAX has several devices, or processes after ``jax.distributed.initialize``, the environments are spread over
    all of them; the first process writes. SIGINT and SIGTERM end it after the current iteration, with a checkpoint.

    Args:
        env: the environment.
        config: of PPO.
        options: of the run.
        seed: of everything random.
        facts: JSON-ready settings of the environment ("humanoid", "observations", clips); a continuation must share
            them, and they go into the policy files.
        evaluate: called (in every process) with the policy and the iteration; returns scalars to log. Its "score",
            higher better, chooses the best checkpoint and ``best.npz``.

    Raises:
        CheckpointMismatch: the folder's run has another configuration, seed, environment or facts.
        NotFinite: a number stopped being finite.
        OSError: a checkpoint could not be written; the earlier ones are intact.
    """
    folder = Path(options.folder)
    checkpoints = Checkpoints(folder / "checkpoints", options.keep)
    shared = {"ppo": dataclasses.asdict(config), "seed": seed, "env": dict(facts or {}), "sizes": _sizes(env)}
    state = init(env, config, seed)
    if jax.device_count() > 1:
        mesh = make_mesh()
        iteration = make_sharded_iteration(env, config, mesh, state)
        state, env = shard(state, mesh), replicate(env, mesh)
    else:
        iteration = make_iteration(env, config)
    if checkpoints.steps:
        _, state = checkpoints.restore(state, shared)
    with ExitStack() as stack:
        stack.callback(checkpoints.close)
        writer = None
        if jax.process_index() == 0:
            _note_session(folder, shared, int(state.iteration))
            places = MetricsWriter(
                folder, step=int(state.iteration), tensorboard=options.tensorboard, wandb=options.wandb, config=shared
            )
            writer = stack.enter_context(places)
        run = Run(env, config, options, shared, checkpoints, evaluate, writer)
        return run.loop(state, iteration)


@dataclasses.dataclass
class Run:
    """The parts of a run that its loop uses."""

    env: Env
    config: PPOConfig
    options: TrainOptions
    facts: dict[str, Any]
    checkpoints: Checkpoints
    evaluate: Evaluate | None
    writer: MetricsWriter | None  # of the first process

    def loop(self, state: TrainState, iteration: Iteration) -> TrainState:
        """Iterate until the end, the time limit or a signal."""
        options, done, started = self.options, int(state.iteration), time.monotonic()
        quiet = options.quiet or self.writer is None
        with (
            _stop_flag() as stop,
            progress(options.iterations, unit="it", label="train", quiet=quiet, initial=done) as bar,
        ):
            last = done >= options.iterations
            while not last:
                began = time.monotonic()
                state, metrics, fault = jax.block_until_ready(iteration(state, self.env))
                done += 1
                values = {name: float(value) for name, value in jax.device_get(metrics).items()}
                values["speed/steps_per_second"] = self.config.batch_size / (time.monotonic() - began)
                values["steps"] = done * self.config.batch_size
                self._check(done, fault)
                late = 0 < options.max_seconds < time.monotonic() - started
                last = _agreed(done >= options.iterations or late or bool(stop))
                self._record(done, state, values, last)
                bar.set_postfix_str(_postfix(values))
                bar.update(1)
        return state

    def _record(self, done: int, state: TrainState, values: dict[str, float], last: bool) -> None:
        """Evaluate if due, write the metrics, and a checkpoint if due."""
        judged = self.evaluate is not None and (last or _due(done, self.options.evaluate_every))
        if judged:
            values |= self._evaluated(state, done)
        if self.writer is not None:
            self.writer.write(done, values)
        if last or judged or _due(done, self.options.checkpoint_every):
            self._save(done, state, values.get("evaluate/score"))

    def policy(self, state: TrainState) -> Policy:
        """The policy of a train state."""
        return policy_of(state, self.env, self.config)

    def _evaluated(self, state: TrainState, done: int) -> dict[str, float]:
        assert self.evaluate is not None
        return {f"evaluate/{name}": float(value) for name, value in self.evaluate(self.policy(state), done).items()}

    def _save(self, done: int, state: TrainState, score: float | None) -> None:
        """Policy files, then the checkpoint: a run killed in between writes the same files again."""
        if self.writer is not None:
            meta = {**self.facts["env"], "ppo": self.facts["ppo"], "seed": self.facts["seed"], "iteration": done}
            meta |= {"steps": done * self.config.batch_size, "score": score}
            names = ("policy.npz", "best.npz") if self.checkpoints.is_best(score) else ("policy.npz",)
            for name in names:
                save_policy(Path(self.options.folder) / name, self.policy(state), meta)
        self.checkpoints.save(done, state, self.facts, score)

    def _check(self, done: int, fault: Fault) -> None:
        """Stop at the first number that is not finite.

        Raises:
            NotFinite: with the term and the file that holds the states.
        """
        steps = {name: int(step) for name, step in jax.device_get(fault.step).items()}
        wrong = {name: step for name, step in steps.items() if step >= 0}
        if not wrong:
            return
        term = first_wrong(steps)
        host = f"_host{jax.process_index()}" if jax.process_count() > 1 else ""
        path = dump_fault(Path(self.options.folder) / f"not_finite_{done}{host}.npz", fault)
        kept = self.checkpoints.steps
        raise NotFinite(
            f"iteration {done}: {term!r} is not finite (first at {where(term)} {wrong[term]}; also: "
            f"{', '.join(name for name in wrong if name != term) or 'nothing'}). States before it: {path}. "
            f"Last checkpoint: {kept[-1] if kept else 'none'}."
        )


UPDATE = ("loss/", "policy/", "amp/", "curriculum")  # terms that are computed after the roll-out


def first_wrong(steps: Mapping[str, int]) -> str:
    """The term that went wrong first: earliest step of the roll-out, within it causes first; then the update's."""
    wrong = [(name.startswith(UPDATE), step, _rank(name), name) for name, step in steps.items() if step >= 0]
    return min(wrong)[-1]


def _rank(name: str) -> int:
    """Place of a term in the order in which a step computes them (the names of a jitted dict come back sorted)."""
    places = {"obs.": 0, "action": 1, "sim": 2, "final_obs.": 5}
    if name == "reward":
        return 4
    return next((place for start, place in places.items() if name.startswith(start)), 3)  # 3: metrics


def where(term: str) -> str:
    """What the number of a term's fault counts."""
    return "minibatch" if term.startswith(UPDATE) else "step"


def dump_fault(path: Path, fault: Fault) -> Path:
    """Write the states before the fault, of the environments that it happened in (of all if it was in the update).

    Of several processes each writes its own environments.
    """
    bad = local(fault.bad)
    chosen = np.flatnonzero(bad) if bad.any() else np.arange(bad.size)
    arrays = {"environment": chosen, "action": local(fault.action)[chosen]}
    for key_path, leaf in jax.tree_util.tree_leaves_with_path(fault.state):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        arrays["state" + jax.tree_util.keystr(key_path)] = local(leaf)[chosen]
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def policy_of(state: TrainState, env: Env, config: PPOConfig) -> Policy:
    """The deterministic policy of a train state, its arrays on the host."""
    params, statistics = jax.device_get((state.learner.params, state.normalizer.obs["state"]))
    return Policy(params, statistics, make_networks(env, config), config.obs_clip)


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
    success = values.get("episode/success", values.get("episode/timeout", float("nan")))
    return f"{values['speed/steps_per_second']:,.0f} steps/s, reward {values['reward']:.3f}, success {success:.0%}"


def _note_session(folder: Path, facts: Mapping[str, Any], iteration: int) -> None:
    """Append this session to ``run.json``."""
    path = folder / "run.json"
    earlier = json.loads(path.read_text())["sessions"] if path.exists() else []
    session = {"iteration": iteration, "command": sys.argv, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **describe()}
    with atomic_write(path) as file:
        json.dump({"config": facts, "sessions": [*earlier, session]}, file, indent=1)


@contextmanager
def _stop_flag() -> Iterator[list[int]]:
    """A list that gets the number of a received SIGINT or SIGTERM; a second one acts as usual."""
    received: list[int] = []
    old = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, old[signal.Signals(number)])

    try:
        for kind in old:
            signal.signal(kind, note)
    except ValueError:  # not the main thread: signals are the caller's
        yield received
        return
    try:
        yield received
    finally:
        for kind, handler in old.items():
            signal.signal(kind, handler)
