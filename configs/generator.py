"""Train a generator of human motion from text on captioned recordings (``generators/motion``).

Command:
    python -m experiments.train_generator --config=configs/generator.py --config.data=captions.jsonl
    python -m experiments.train_generator --config=configs/generator.py:gpu --config.data=HumanML3D

Variants: ``cpu`` (default; 3 million weights, 2 s of motion), ``gpu`` (53 million, 10 s) and ``test``, a few steps on
the built-in clips. The same command continues a run that was stopped.

Result, in ``config.out``: ``generator.npz``, ``metrics.jsonl``, TensorBoard events and ``checkpoints/``.
"""

from ml_collections import config_dict

from mjxhuman.options import ClipOptions, values


def get_config(variant: str = "cpu") -> config_dict.ConfigDict:
    """The values of a variant: "cpu", "gpu" or "test"."""
    if variant not in ("cpu", "gpu", "test"):
        raise ValueError(f"configs/generator.py: expected variant cpu, gpu or test, found {variant!r}")
    config = config_dict.ConfigDict()
    config.data = ""  # a captions.jsonl, HumanML3D's folder or one of named recordings; unset: the built-in clips
    config.held_out = ""  # beginnings of names of files to judge by instead of training on, separated by commas
    config.out = "out/generator"  # run folder: weights, checkpoints, metrics
    config.start_from = ""  # a generator's file or folder to begin with instead of random weights: same size and frames
    config.seed = 0  # of everything that is drawn
    config.mirror = True  # mirror images too, with left and right exchanged in their captions
    config.evaluate_every = 500  # steps
    config.checkpoint_every = 250  # steps
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.quiet = False  # no progress bar
    config.reading = config_dict.ConfigDict(values(ClipOptions))  # how the recordings are read: as for `mjxhuman track`

    config.training = config_dict.ConfigDict()  # see mjxhuman.generators.motion.training.TrainingOptions
    config.training.size = variant  # of the network, a name in mjxhuman.generators.motion.network.SIZES
    config.training.frames = {"cpu": 60, "gpu": 300, "test": 16}[variant]  # of a window, at 30 Hz
    config.training.windows = {"cpu": 64, "gpu": 256, "test": 4}[variant]  # of each step
    config.training.steps = {"cpu": 8_000, "gpu": 200_000, "test": 4}[variant]
    config.training.rate = {"cpu": 1e-3, "gpu": 2e-4, "test": 1e-3}[variant]  # learning rate at its highest
    config.training.drop = 0.1  # share of the windows that are seen without their caption
    config.training.joints = 0.1  # weight of the error of joints' places and velocities beside that of the features
    if variant == "test":
        config.evaluate_every = config.checkpoint_every = 2
    return config
