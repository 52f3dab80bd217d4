"""Train the network that lifts 2D keypoints to a body (``encoders/lifter.py``).

Command:
    python -m experiments.train_lifter --config=configs/lifter.py --config.clips='mocap/**/*.amc,more/*.bvh'
    python -m experiments.train_lifter --config=configs/lifter.py:causal --config.clips=amass

Variants: ``bidirectional`` (default), ``causal``, and ``test``, a few steps on the built-in clips. Ten minutes of one
CPU core. The same command continues a run that was stopped.

Result, in ``config.out``: ``lifter.npz``, which ``load_lifter`` takes, ``metrics.jsonl``, TensorBoard events and
``checkpoints/``.
"""

from ml_collections import config_dict


def get_config(variant: str = "bidirectional") -> config_dict.ConfigDict:
    """The values of a variant: "bidirectional", "causal" or "test"."""
    if variant not in ("bidirectional", "causal", "test"):
        raise ValueError(f"configs/lifter.py: expected variant bidirectional, causal or test, found {variant!r}")
    config = config_dict.ConfigDict()
    config.clips = ""  # files, folders or globs, separated by commas; unset: the built-in clips
    config.held_out = ""  # beginnings of names of files to judge by instead of training on, separated by commas
    config.out = "out/lifter"  # run folder: weights, checkpoints, metrics
    config.seed = 0  # of everything that is drawn
    config.share = 1.0  # of the clips that is trained on, drawn at random: for learning curves
    config.evaluate_every = 200  # steps
    config.checkpoint_every = 100  # steps
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.quiet = False  # no progress bar

    config.training = config_dict.ConfigDict()  # see experiments.lifter_training.Options
    config.training.causal = variant == "causal"  # the network looks back only
    config.training.windows = 32  # of each step
    config.training.frames = 48  # of a window, at 30 Hz
    config.training.steps = 2400
    config.training.rate = 1.5e-3  # learning rate at its highest

    config.augmentation = config_dict.ConfigDict()  # see experiments.lifter_samples.Augmentation; 0 leaves out
    config.augmentation.mirror = 0.5  # share of the windows that are mirrored
    config.augmentation.slowest = 0.7  # factors on the speed
    config.augmentation.fastest = 1.35
    config.augmentation.proportions = 0.08  # share by which bones are longer or shorter
    config.augmentation.stature = 0.02  # standard deviation, share
    config.augmentation.recombined = 0.65  # share of the windows with parts of other clips
    config.augmentation.misplaced = 0.012  # m, standard deviation of the place of a keypoint on the body
    config.augmentation.bent = 0.1  # rad, standard deviation of a turn that a joint has all the time
    config.augmentation.tilt = 0.02  # rad, standard deviation of the camera's vertical
    if variant == "test":
        config.training.steps = config.evaluate_every = config.checkpoint_every = 6
        config.training.windows, config.training.frames = 4, 32
    return config
