"""Train a policy that moves the simulated body as a video shows; see configs/vision_policy.py for the settings.

    python -m experiments.train_vision --config=configs/vision_policy.py --config.clips='mocap/**/*.amc'

Every clip is filmed by simulated cameras (kept in the cache folder; seven seconds of processor time per 100 frames and
video). A tracker, the expert, sees the recorded motion and says what it would do in the states that the policy visits:
first the policy learns that alone, then beside PPO. The same command continues a run that was stopped.

Exit code: 0 trained to the end (or to the time limit); 1 some files could not be loaded or filmed, training went on
with the others; 2 nothing to train on, or a configuration that does not fit the run in the folder; 3 a number stopped
being finite.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict

from mjxhuman.options import spelt
from mjxhuman.runs import prepare_jax

from .launch import launch
from .start_from import Beginning, beginning, check_task
from .train_imitation import (
    NOT_FINITE,
    NOTHING_TO_DO,
    dataclass_of,
    load_files,
    motion_files,
    ppo_config,
    supertrack,
    train_options,
)  # fmt: skip
from .vision_clips import filmed, usable_clips

#: Weights of the expert's loss above which PPO is left out, as in PhysHMR's release.
ALONE = 1e6


def prepared(config: config_dict.ConfigDict, tracker: Any) -> tuple[list[Any], list[str], int]:
    """Clips at the control rate without those held out, their files' names, and how many files were left out."""
    from mjxhuman.tracking.evaluate import evaluate

    from .lifter_clips import split

    paths = motion_files(config)
    kept = split(paths, [x for x in config.held_out.split(",") if x])[0]
    loaded = load_files(kept, config, tracker.humanoid)
    clips, names, failed = usable_clips(loaded, tracker.humanoid, tracker.fps, config.seconds, "train_vision")
    if config.held_by_expert and clips:
        results = {found.result.name: found.result for found in evaluate(tracker, clips, names, score=False)}
        for name in [name for name in names if not results[name].success]:
            print(f"train_vision: {name}: left out, the expert loses it", file=sys.stderr)
        clips = [clip for clip, name in zip(clips, names, strict=True) if results[name].success]
        names = [name for name in names if results[name].success]
    if not clips:
        raise ValueError(f"clips: expected a motion to train on, found none in {config.clips!r}")
    return clips, names, failed


def environment(config: config_dict.ConfigDict) -> tuple[Any, Any, list[Any], list[str], int]:
    """Environment, expert's tracker, clips, their files, and how many files were left out; the clips' variations come
    after them in the environment."""
    from mjxhuman.envs.clips import make_library
    from mjxhuman.envs.vision import VisionConfig, make_expert, make_vision, make_visual_library
    from mjxhuman.envs.vision.films import views
    from mjxhuman.envs.vision.variations import varied
    from mjxhuman.physics.variations import Variations
    from mjxhuman.tracking.tracker import load_tracker

    task = dataclass_of(VisionConfig, config.task, "config.task")
    tracker = load_tracker(config.expert or None, config.engine)
    variations = dataclass_of(Variations, config.vary, "config.vary")
    if variations.mirror and (seen := sorted({"video_features", "features_ahead"} & {*dict(task.groups)["state"]})):
        raise ValueError(f"config.vary.mirror: expected a task without {', '.join(seen)}: images have no features")
    clips, names, failed = prepared(config, tracker)
    videos = config.videos
    wanted = views(videos.count, videos.seed, tuple(videos.cameras), tuple(videos.noises))
    tracks = filmed(clips, names, wanted, "train_vision", config.quiet)
    good = [(clip, name, track) for clip, name, track in zip(clips, names, tracks, strict=True) if track is not None]
    if not good:
        raise ValueError("clips: expected a motion that can be filmed, found none")
    failed += len(clips) - len(good)
    clips, names = [row[0] for row in good], [row[1] for row in good]
    pairs = [(clip, track) for clip, _, track in good]
    pairs += [other for clip, _, track in good for other in varied(clip, track, variations)]
    library = make_library([clip for clip, _ in pairs], tracker.fps)
    visual = make_visual_library(library, tracker.simulator, [track for _, track in pairs], config.videos.carry)
    taught = "expert" in dict(task.groups)
    expert = make_expert(tracker.policy, tracker.config) if taught else None
    keep = config.keep_lead if taught else 0.0
    env = make_vision(library, tracker.simulator, task, visual, expert, keep)
    return env, tracker, clips, names, failed


def algorithm_of(config: config_dict.ConfigDict, begun: Beginning) -> Any:
    """SuperTrack, or PPO with the expert's loss beside it and before it."""
    from mjxhuman.learning.distill import Distillation
    from mjxhuman.learning.ppo import PPO, WarmUp

    if config.algorithm == "supertrack":
        return supertrack(config, begun)
    if config.algorithm != "ppo":
        raise ValueError(f"config.algorithm: expected ppo or supertrack, found {config.algorithm!r}")
    ppo = ppo_config(config)
    if not config.task.groups.get("expert"):
        return PPO(ppo, start=begun.policy)
    size, given = ppo.batch_size, config.distill
    warm, settle = round(config.warm_up.samples / size), round(config.warm_up.settle / size)
    only = given.first > ALONE
    loss = Distillation(
        1.0 - config.task.smoothing, given.alone, warm, settle, given.alone if only else given.first,
        given.alone if only else given.last, max(1, round(given.over / size)),
    )  # fmt: skip
    warm_up = WarmUp(warm, settle, config.warm_up.first, config.warm_up.last) if warm else None
    return PPO(ppo, (loss,), 0.0 if only else 1.0, warm_up, begun.policy)


def evaluator(env: Any, clips: list[Any], names: list[str]) -> Any:
    """The judgement of a policy by one video of each training clip, from its start, for the log."""
    import numpy as np

    from mjxhuman.envs.clips import make_library
    from mjxhuman.envs.vision import make_vision
    from mjxhuman.tracking.evaluate import summary
    from mjxhuman.tracking.vision import evaluate_vision

    library = make_library(clips, env.library.fps)  # the first of the environment's
    alone = make_vision(library, env.simulator, env.config, env.visual.rows(np.arange(library.qpos.shape[0])))

    def judge(policy: Any, _: int) -> dict[str, float]:
        numbers = summary([found.result for found in evaluate_vision(alone, policy, clips, names, 0)])
        chosen = ("success_rate", "mpjpe_global_mm", "mpjpe_local_mm", "torque", "residual_share")
        kept = {name: numbers[name] for name in chosen if np.isfinite(numbers[name])}
        return kept | {"score": numbers["success_rate"] - 1e-4 * min(numbers["mpjpe_local_mm"], 1000.0)}

    return judge


def run(config: config_dict.ConfigDict) -> int:
    """Train as configured; returns the exit code."""
    prepare_jax()
    from mjxhuman.learning.faults import NotFinite
    from mjxhuman.learning.trainer import train
    from mjxhuman.tracking.vision import vision_facts

    try:
        begun = beginning(config.start_from, "train_vision")
        algorithm = algorithm_of(config, begun)
        env, tracker, clips, names, failed = environment(config)
        if begun.facts is not None:
            check_task(config.start_from, begun.facts, env.config)
        facts = vision_facts(env.simulator, env.config, env.visual.feature_name) | {
            "clips": [Path(name).name for name in names], "held_out": config.held_out,
            "videos": config.videos.to_dict(), "vary": config.vary.to_dict(),
            "expert": {"file": tracker.path.name, "steps": tracker.facts.get("steps")},
        }  # fmt: skip
        options = train_options(config, algorithm)
        train(env, algorithm, options, seed=config.seed, facts=facts, evaluate=evaluator(env, clips, names))
    except NotFinite as error:
        print(f"train_vision: {error}", file=sys.stderr)
        return NOT_FINITE
    except (ValueError, OSError, ImportError) as error:
        print(f"train_vision: {spelt(str(error), '--config.reading.{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    print(f"policy: {Path(config.out) / 'best.npz'}")
    return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"train_vision: unexpected arguments {argv[1:]}; name files by --config.clips=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "vision_policy")
