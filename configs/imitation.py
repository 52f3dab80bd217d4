"""Train a policy that tracks recorded motion with the simulated humanoid (PPO, optionally with AMP's style reward).

Command:
    python -m experiments.train_imitation --config=configs/imitation.py --config.clips='mocap/**/*.amc,more/*.bvh'
    python -m experiments.train_imitation --config=configs/imitation.py:gpu --config.clips='amass/**/*.npz'

Variants: ``cpu`` (default) tracks with actions around the reference pose, 256 observations and two layers of 256;
``gpu`` is PHC's set-up (``physhmr.md`` 2.2-2.7: absolute targets, 934 observations, six layers, AMP); ``test`` is the
cpu variant in small. Every value can be overridden on the command line.

The same command continues a run that was stopped, bit for bit on a CPU. Result, in ``config.out``: ``config.json``,
``metrics.jsonl`` and TensorBoard events, ``checkpoints/`` and ``policy.npz``, which ``experiments.evaluate`` and
``mjxhuman track`` take.
"""

from ml_collections import config_dict

from mjxhuman.options import ClipOptions, values


def get_config(variant: str = "cpu") -> config_dict.ConfigDict:
    """The values of a variant: "cpu", "gpu" or "test"."""
    config = _common()
    config.variant = variant
    try:
        {"cpu": _cpu, "gpu": _gpu, "test": _test}[variant](config)
    except KeyError:
        raise ValueError(f"configs/imitation.py: expected variant cpu, gpu or test, found {variant!r}") from None
    return config


def _common() -> config_dict.ConfigDict:
    config = config_dict.ConfigDict()
    config.clips = ""  # files, folders or globs, separated by commas; unset: the built-in walking clip
    config.out = "out/imitation"
    config.seed = 0
    config.samples = 20_000_000  # control steps to train for, over all environments
    config.evaluate_every = 50  # iterations between evaluations of every clip from its start
    config.checkpoint_every = 20  # iterations
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.wandb = ""  # project to log to as well (needs the package wandb)
    config.quiet = False  # no progress bar
    # how the clips are read: the flags of `mjxhuman track`, under the same names
    config.reading = config_dict.ConfigDict(values(ClipOptions))

    config.stature = config_dict.placeholder(float)  # m; unset: 1.71
    config.engine = config_dict.placeholder(str)  # "c", "jax" or "warp"; unset: warp on an NVIDIA GPU, else c
    config.contacts = "full"  # what may touch the floor: "full" or "feet"

    config.randomize = config_dict.ConfigDict()  # what bodies differ in; see humanoids.actuated.randomized_models
    config.randomize.bodies = 0  # how many different ones the environments take turns in; 0: all the same
    config.randomize.friction = (0.7, 1.3)  # lowest and highest factor
    config.randomize.mass = (0.9, 1.1)
    config.randomize.gain = (0.9, 1.1)

    config.task = config_dict.ConfigDict()  # see mjxhuman.envs.imitation.task.ImitationConfig
    config.task.push_rate = 0.0  # pushes per second
    config.task.push_speed = 0.5  # m/s, largest horizontal velocity a push adds
    config.ppo = config_dict.ConfigDict()  # see mjxhuman.learning.ppo.PPOConfig
    config.amp = config_dict.placeholder(config_dict.ConfigDict)  # see mjxhuman.learning.amp.AMPConfig; unset: no AMP
    return config


def _cpu(config: config_dict.ConfigDict) -> None:
    config.task.action = "residual"
    config.task.action_scale = 0.5
    config.task.joint_scale = (
        ("Torso", 0.6), ("Spine", 0.6), ("Chest", 0.6), ("Toe", 0.4), ("Thorax", 0.3), ("Shoulder", 0.5),
        ("Elbow", 0.4), ("Wrist", 0.2), ("Hand", 0.2), ("Neck", 0.2), ("Head", 0.2),
    )  # fmt: skip
    config.task.smoothing = 0.8
    config.task.state_terms = ("compact", "previous_action")
    config.task.reward = (("imitation", 1.0), ("power", 1e-5), ("foot_slip", 0.5))
    config.task.termination = (("any_body", 0.25),)

    config.ppo.num_envs = 512
    config.ppo.unroll_length = 16
    config.ppo.num_epochs = 4
    config.ppo.minibatch_size = 2048
    config.ppo.learning_rate = 3e-4
    config.ppo.gamma = 0.97
    config.ppo.desired_kl = 0.03
    config.ppo.log_std = -1.0
    config.ppo.actor_hidden = (256, 256)
    config.ppo.critic_hidden = (256, 256)
    config.ppo.critic_coef = 1.0
    config.ppo.bounds_coef = 1.0
    config.ppo.max_grad_norm = 1.0


def _gpu(config: config_dict.ConfigDict) -> None:
    config.samples = 5_000_000_000
    config.task.style = True
    config.ppo.num_envs = 4096
    config.amp = config_dict.ConfigDict()


def _test(config: config_dict.ConfigDict) -> None:
    _cpu(config)
    config.samples = 2_048
    config.evaluate_every = 2
    config.checkpoint_every = 2
    config.ppo.num_envs = 32
    config.ppo.unroll_length = 8
    config.ppo.minibatch_size = 128
    config.ppo.actor_hidden = (32,)
    config.ppo.critic_hidden = (32,)
