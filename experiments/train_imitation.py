"""Train a policy that tracks recorded motion; see configs/imitation.py for the settings.

    python -m experiments.train_imitation --config=configs/imitation.py --config.clips='mocap/**/*.amc'

The same command continues a run that was stopped, killed or interrupted.

Exit code: 0 trained to the end (or to the time limit); 1 some files could not be loaded, training went on with the
others; 2 nothing to train on, or a configuration that does not fit the run in the folder; 3 a number stopped being
finite (the message names it and the file with the states).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict

from mjxhuman.options import ClipOptions, record_of, spelt
from mjxhuman.runs import prepare_jax, progress

from .launch import launch, named_motions
from .start_from import Beginning, beginning, check_task

NOTHING_TO_DO, NOT_FINITE = 2, 3


def motion_files(config: config_dict.ConfigDict) -> list[Path]:
    """The files of ``config.clips``; the built-in walking clip where there are none."""
    from mjxhuman.data.builtin import builtin_path

    return named_motions(config.clips) if config.clips else [builtin_path("walk")]


def load_files(paths: Sequence[Path], config: config_dict.ConfigDict, humanoid: Any) -> Any:
    """The motions of files (``LoadedClips``), as configured."""
    from mjxhuman.envs.clips import load_clips

    with progress(len(paths), unit="clip", label="load", quiet=config.quiet) as bar:
        return load_clips(paths, humanoid, lambda _: bar.update(), record_of(ClipOptions, config.reading))


def load(config: config_dict.ConfigDict, humanoid: Any) -> Any:
    """The motions to train on (``LoadedClips``); files that could not be loaded are named on stderr."""
    loaded = load_files(motion_files(config), config, humanoid)
    for path, error in loaded.failed.items():
        print(f"train_imitation: {path}: {error.removeprefix(f'{path}: ')}", file=sys.stderr)
    if not loaded.motions:
        raise ValueError(f"clips: expected at least one motion that can be loaded, found none in {config.clips!r}")
    return loaded


def ppo_config(config: config_dict.ConfigDict) -> Any:
    """``PPOConfig`` of ``config.ppo``, with the adversarial reward of ``config.amp``."""
    from mjxhuman.learning.config import AMPConfig, PPOConfig

    values = dict(config.ppo)
    if config.amp is not None:
        values["amp"] = dataclass_of(AMPConfig, config.amp, "config.amp")
    return dataclass_of(PPOConfig, values, "config.ppo")


def algorithm_of(config: config_dict.ConfigDict, begun: Beginning) -> Any:
    """The algorithm that ``config.algorithm`` names."""
    from mjxhuman.learning.ppo import PPO

    if config.algorithm == "ppo":
        return PPO(ppo_config(config), start=begun.policy)
    if config.algorithm == "supertrack":
        return supertrack(config, begun)
    raise ValueError(f"config.algorithm: expected ppo or supertrack, found {config.algorithm!r}")


def supertrack(config: config_dict.ConfigDict, begun: Beginning) -> Any:
    """SuperTrack with the numbers of ``config.supertrack``."""
    from mjxhuman.learning.supertrack import SuperTrack, SuperTrackConfig

    numbers = dataclass_of(SuperTrackConfig, config.supertrack, "config.supertrack")
    return SuperTrack(numbers, begun.policy, begun.model)


def train_options(config: config_dict.ConfigDict, algorithm: Any) -> Any:
    """``TrainOptions`` of a configuration."""
    from mjxhuman.learning.trainer import TrainOptions

    return TrainOptions(
        folder=config.out,
        iterations=max(1, round(config.samples / algorithm.batch_size)),
        max_seconds=config.max_seconds,
        checkpoint_every=config.checkpoint_every,
        evaluate_every=config.evaluate_every,
        tensorboard=config.tensorboard,
        wandb=config.wandb,
        quiet=config.quiet,
    )


def environment(config: config_dict.ConfigDict) -> tuple[Any, Any]:
    """The environment of a configuration and its clips (``LoadedClips``)."""
    from mjxhuman.envs.clips import make_library
    from mjxhuman.envs.imitation import ImitationConfig, make_imitation
    from mjxhuman.physics.variations import Variations

    task = dataclass_of(ImitationConfig, config.task, "config.task")
    variations = dataclass_of(Variations, config.vary, "config.vary")
    simulator = simulation(config)
    if not config.quiet:
        print(simulator.actuated.describe(), file=sys.stderr)
    clips = load(config, simulator.actuated.humanoid)
    others = [other for motion in clips.motions for other in variations.of(motion)]
    return make_imitation(make_library([*clips.motions, *others], 1.0 / simulator.dt), simulator, task), clips


def simulation(config: config_dict.ConfigDict) -> Any:
    """The simulator of a configuration, with as many different bodies as it asks for."""
    from mjxhuman import load_humanoid
    from mjxhuman.humanoids.actuated import actuated_humanoid, randomized_models
    from mjxhuman.humanoids.tuning import tuning_named
    from mjxhuman.physics.simulate import make_simulator

    body = load_humanoid("smpl", stature=config.stature) if config.stature else load_humanoid("smpl")
    actuated = actuated_humanoid(body, config.contacts, tuning=tuning_named(config.tuning))
    ranges = {name: _plain(value) for name, value in config.randomize.items()}
    if (count := ranges.pop("bodies")) < 0:
        raise ValueError(f"config.randomize.bodies: expected 0 or more, found {count}")
    return make_simulator(actuated, config.engine, variants=randomized_models(actuated, count, config.seed, **ranges))


def dataclass_of(kind: type, values: Mapping[str, Any], label: str) -> Any:
    """A configuration dataclass from the values of a ConfigDict.

    Raises:
        ValueError: a field that the dataclass does not have, or a value that it refuses.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    given = {name: _plain(value) for name, value in values.items()}
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{label}: expected fields among {', '.join(known)}, found {', '.join(unknown)}")
    return kind(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | config_dict.ConfigDict):
        return {name: _plain(inner) for name, inner in value.items()}
    return tuple(_plain(x) for x in value) if isinstance(value, list | tuple) else value


def evaluator(env: Any, motions: list[Any], disturbance: Any) -> Any:
    """The evaluation of a policy on the training clips, each from its start and disturbed or not, for the log."""
    import numpy as np

    from mjxhuman.physics.simulate import make_simulator
    from mjxhuman.tracking.evaluate import evaluate, summary
    from mjxhuman.tracking.tracker import Tracker

    simulator = env.simulator
    if simulator.models[0] is not simulator.actuated.model:  # judged on the body itself, not on random ones
        simulator = make_simulator(simulator.actuated, simulator.engine)
    library = env.library if env.library.num_clips == len(motions) else None  # of the clips, not of their variations

    def judge(policy: Any, _: int) -> dict[str, float]:
        tracker = Tracker(policy, simulator, env.config, {}, Path())
        results = evaluate(tracker, motions, score=False, library=library, disturbance=disturbance)
        numbers = summary([tracked.result for tracked in results])
        chosen = ("success_rate", "mpjpe_global_mm", "mpjpe_local_mm", "torque", "residual_share")
        kept = {name: numbers[name] for name in chosen if np.isfinite(numbers[name])}
        # success counts first; among equals the smaller error
        return kept | {"score": numbers["success_rate"] - 1e-4 * min(numbers["mpjpe_global_mm"], 1000.0)}

    return judge


def run(config: config_dict.ConfigDict) -> int:
    """Train as configured; returns the exit code."""
    prepare_jax()
    from mjxhuman.learning.faults import NotFinite
    from mjxhuman.learning.trainer import train
    from mjxhuman.tracking.disturbance import Disturbance
    from mjxhuman.tracking.tracker import tracker_facts

    try:
        begun = beginning(config.start_from, "train_imitation")
        algorithm = algorithm_of(config, begun)
        env, clips = environment(config)
        if begun.facts is not None:
            check_task(config.start_from, begun.facts, env.config)
        facts = tracker_facts(env.simulator, env.config) | {"clips": [Path(path).name for path in clips.paths]}
        if config.randomize.bodies:
            facts["randomize"] = config.randomize.to_dict()
        if any(config.vary.values()):
            facts["vary"] = config.vary.to_dict()
        disturbance = Disturbance(config.evaluate_push, config.evaluate_perturbed, config.seed)
        judge = evaluator(env, clips.motions, disturbance)
        options = train_options(config, algorithm)
        train(env, algorithm, options, seed=config.seed, facts=facts, evaluate=judge)
    except NotFinite as error:
        print(f"train_imitation: {error}", file=sys.stderr)
        return NOT_FINITE
    except (ValueError, OSError, ImportError) as error:
        print(f"train_imitation: {spelt(str(error), '--config.reading.{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    print(f"policy: {Path(config.out) / 'best.npz'}")
    return 1 if clips.failed else 0


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"train_imitation: unexpected arguments {argv[1:]}; name files by --config.clips=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "imitation")
