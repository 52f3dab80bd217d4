"""Post-training of a motion generator from start to end: epochs, judgements by held-out prompts, bounds, the adapter.

result = post_train(load_generator("motion"), ["a person walks"], out="out/post_train", objective="gradient")
result.generator.sample(["a person walks"]), result.before["total"], result.after["total"]
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mjxhuman.generators.adapter_files import fingerprint, save_adapter
from mjxhuman.generators.evaluate import HeldOut
from mjxhuman.generators.finetune import FinetuneOptions, FinetuneState, PostTraining
from mjxhuman.generators.gradient import RewardGradient
from mjxhuman.generators.motion.generator import MotionGenerator
from mjxhuman.generators.motion.reward import Feasibility, movement
from mjxhuman.generators.objectives.guards import Bounds
from mjxhuman.generators.rewards import Reward, Weighted
from mjxhuman.runs.loop import LoopOptions, OutOfBounds, run_steps

OBJECTIVES: dict[str, type[PostTraining]] = {"nft": PostTraining, "gradient": RewardGradient}


@dataclasses.dataclass(frozen=True)
class PostTrainOptions:
    """Of a run.

    Attributes:
        objective: "nft", DiffusionNFT (``finetune``), or "gradient", that of the reward itself (``gradient``).
        epochs: of it. judged: samples of each held-out prompt. evaluate_every: epochs between judgements, checkpoints.
        bounds: beside the base, where it ends. training: of the epochs. seed: of everything drawn.
        max_seconds: stop after so long, with a checkpoint; 0: no limit.
        tensorboard: event files beside ``metrics.jsonl``. quiet: no progress bar.
    """

    objective: str = "nft"
    epochs: int = 60
    judged: int = 8
    evaluate_every: int = 5
    bounds: Bounds = dataclasses.field(default_factory=lambda: Bounds(motion=0.8, diversity=0.8))
    training: FinetuneOptions = dataclasses.field(default_factory=lambda: FinetuneOptions(motion_floor=0.9, still=0.1))
    seed: int = 0
    max_seconds: float = 0.0
    tensorboard: bool = True
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective: expected one of {', '.join(OBJECTIVES)}, found {self.objective!r}")
        if self.bounds.diversity and self.judged < 2:
            raise ValueError(f"judged: expected 2 or more beside bounds.diversity, found {self.judged}")


@dataclasses.dataclass(frozen=True, eq=False)
class PostTrained:
    """What came of a run. ``before`` and ``after``: of held-out prompts, same noise (``evaluate.HeldOut.measure``)."""

    generator: MotionGenerator  # with the adapter
    adapter: Path  # its folder
    epochs: int
    samples: int
    seconds: float
    before: dict[str, float]
    after: dict[str, float]
    stopped: str  # why it left its bounds, ""


def post_train(
    generator: MotionGenerator,
    prompts: Sequence[str] | None = None,
    reward: str | Reward | Mapping[str | Reward, float] = "feasibility",
    *,
    out: str | os.PathLike[str],
    held_out: Sequence[str] | None = None,
    options: PostTrainOptions | None = None,
    **changes: Any,
) -> PostTrained:
    """Post-train a generator, or continue the run in ``out``.

    Args:
        generator: to be changed; its adapter, where it has one, is not part of it.
        prompts: to learn with; None: the captions that it was trained on.
        reward: "feasibility", a ``rewards.Reward``, or several of either with their weights, each logged apart.
        out: folder of the run: ``adapter/``, ``checkpoints/``, ``metrics.jsonl``.
        held_out: prompts that it is judged by; None: those that it learns with, at other noise.
        options, changes: of the run; ``objective="gradient", epochs=20``.

    Raises:
        ValueError: options, prompts or a reward that do not fit. CheckpointMismatch: the folder has another run.
        NothingValidError: an epoch without any reward.
    """
    options, start = dataclasses.replace(options or PostTrainOptions(), **changes), time.monotonic()
    training, held = training_of(generator, prompts, reward, held_out, options)
    folder, facts = Path(out), _facts(training, options, reward)
    ran = run_steps(_loop(folder, options), training.init(), facts, _epoch(training), _judge(held, options.bounds))
    adapter = ran.state.average
    before, after = held.measure(None), held.measure(adapter)
    told = {**facts, "epochs": ran.done, "before": before, "after": after, "command": " ".join(sys.argv[1:])}
    save_adapter(folder / "adapter", adapter, generator.params, facts=told)
    return PostTrained(
        dataclasses.replace(generator, adapter=adapter), folder / "adapter", ran.done,
        ran.done * options.training.count, round(time.monotonic() - start, 1), before, after, ran.stopped,
    )  # fmt: skip


def training_of(
    generator: MotionGenerator,
    prompts: Sequence[str] | None,
    reward: str | Reward | Mapping[str | Reward, float],
    held_out: Sequence[str] | None,
    options: PostTrainOptions,
) -> tuple[PostTraining, HeldOut]:
    """The epochs of a run, and what judges them; arguments as of ``post_train``."""
    for name, given in (("prompts", prompts), ("held_out", held_out)):
        if given is not None and (isinstance(given, str) or not given):
            raise ValueError(f"{name}: expected one or more of them, found {given!r}")
    asked = tuple(prompts) if prompts is not None else generator.captions
    training = OBJECTIVES[options.objective](
        dataclasses.replace(generator, adapter=None), asked, reward_of(reward, generator), options.training,
        options.seed, lambda qpos: movement(generator, qpos),
    )  # fmt: skip
    return training, HeldOut(training, held_out if held_out is not None else asked, options.judged, options.seed + 1)


def reward_of(reward: str | Reward | Mapping[str | Reward, float], generator: MotionGenerator) -> Reward:
    """The reward that is meant.

    Raises:
        ValueError: another name, or several rewards of one name.
    """
    if isinstance(reward, Mapping):
        names = [name_of(part) for part in reward]
        if len(set(names)) < len(names):
            raise ValueError(f"reward: expected names of their own, to be logged apart, found {', '.join(names)}")
        return Weighted({name_of(part): (reward_of(part, generator), weight) for part, weight in reward.items()})
    if callable(reward):
        return reward
    if reward != "feasibility":
        raise ValueError(f"reward: expected 'feasibility', a callable or several with their weights, found {reward!r}")
    return Feasibility(generator)


def name_of(reward: str | Reward) -> str:
    """Of a reward, in logs."""
    return reward if isinstance(reward, str) else getattr(reward, "__name__", type(reward).__name__)


def _facts(training: PostTraining, options: PostTrainOptions, reward: Any) -> dict[str, Any]:
    named = {name_of(x): w for x, w in reward.items()} if isinstance(reward, Mapping) else name_of(reward)
    return {
        "training": dataclasses.asdict(options.training), "objective": options.objective, "seed": options.seed,
        "prompts": list(training.prompts), "generator": fingerprint(training.generator.params), "reward": named,
    }  # fmt: skip


def _loop(folder: Path, options: PostTrainOptions) -> LoopOptions:
    return LoopOptions(
        folder, options.epochs, "epoch", "post-train", checkpoint_every=options.evaluate_every,
        judge_every=options.evaluate_every, max_seconds=options.max_seconds, tensorboard=options.tensorboard,
        quiet=options.quiet, shown="reward",
    )  # fmt: skip


def _epoch(training: PostTraining) -> Callable[[int, FinetuneState], tuple[FinetuneState, dict[str, float]]]:
    def epoch(_: int, state: FinetuneState) -> tuple[FinetuneState, dict[str, float]]:
        began = time.monotonic()
        state, log = training.epoch(state)
        return state, {**log, "seconds": time.monotonic() - began}

    return epoch


def _judge(held: HeldOut, bounds: Bounds) -> Callable[[FinetuneState], dict[str, float]]:
    def judge(state: FinetuneState) -> dict[str, float]:
        values = held.measure(state.average)
        told = {f"held_out/{name}": x for name, x in values.items()}
        if reason := bounds.left(values):
            raise OutOfBounds(reason, told)
        return told

    return judge
