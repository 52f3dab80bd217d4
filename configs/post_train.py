"""Post-train a generator of motion with the feasibility reward (``generators/finetune``).

Command:
    python -m experiments.post_train --config=configs/post_train.py --config.generator=out/generator \
        --config.prompts=train.txt --config.held_out=test.txt

Variants: ``motion`` (default) and ``test``, two epochs in small. The same command continues a run that was stopped.

Result, in ``config.out``: ``adapter/`` in PEFT's layout, of the average that is evaluated, ``metrics.jsonl``,
TensorBoard events and ``checkpoints/``, ``report.html`` (the same noise before and after) and ``curves.png``.
"""

from ml_collections import config_dict


def get_config(variant: str = "motion") -> config_dict.ConfigDict:
    """The values of a variant: "motion" or "test"."""
    if variant not in ("motion", "test"):
        raise ValueError(f"configs/post_train.py: expected variant motion or test, found {variant!r}")
    small = variant == "test"
    config = config_dict.ConfigDict()
    config.generator = "motion"  # the one that ships; or a file, or the folder of experiments.train_generator
    config.prompts = ""  # a file with a prompt a line; unset: the captions that the generator was trained on
    config.held_out = ""  # prompts that it is judged by; unset: those that it learns with, at other noise
    config.out = "out/post_train"  # run folder: adapter, checkpoints, metrics
    config.seed = 0  # of everything that is drawn
    config.epochs = 2 if small else 60
    config.judged = 2 if small else 8  # samples of each held-out prompt before and after
    config.evaluate_every = 1 if small else 5  # epochs, between judgements by held-out prompts, and checkpoints
    config.pictures = 0 if small else 6  # held-out prompts shown before and after, beside curves; 0: no pictures
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.quiet = False  # no progress bar

    config.objective = "nft"  # or "gradient": that of the reward itself
    config.training = config_dict.ConfigDict()  # see mjxhuman.generators.finetune.FinetuneOptions
    config.training.groups = 2 if small else 16  # prompts of an epoch
    config.training.samples = 4 if small else 8  # of each prompt
    config.training.passes = 1  # over an epoch's samples
    config.training.micro_batch = 8 if small else 32  # samples whose gradient is taken together
    config.training.levels = 2  # noise levels that each sample is seen at in a pass
    config.training.rank = 2 if small else 16  # of the adapter
    config.training.rate = 3e-4  # learning rate
    config.training.old = "linear"  # how the policy that samples follows: see objectives.nft.old_decay
    config.training.motion_floor = 0.9  # share of the base's motion below which rewards are lowered; 0: none
    config.training.still = 0.1  # rad/s of the joints and m/s of the root that are as good as none

    config.bounds = config_dict.ConfigDict()  # beside the base, where a run ends: see objectives.guards.Bounds
    config.bounds.motion = 0.0 if small else 0.8  # least share of the speed of joints and root
    config.bounds.diversity = 0.0 if small else 0.8  # least share of the distance between samples of a prompt
    config.bounds.kl = 0.0  # largest mean squared distance of samples; 0: none

    config.gradient = config_dict.ConfigDict()  # see mjxhuman.generators.objectives.reward_gradient.GradientConfig
    config.gradient.last = 2  # steps of the sampler that it goes through
    config.gradient.kl_weight = 0.05  # of the distance to the base

    config.nft = config_dict.ConfigDict()  # see mjxhuman.generators.objectives.nft.NFTConfig
    config.nft.nft_beta = 1.0
    config.nft.advantage_clip = 5.0
    config.nft.weighting = "adaptive"  # or "none"
    config.nft.kl_weight = 0.03  # of the distance to the base
    config.nft.kl_space = "v"  # or "x0"
    return config
