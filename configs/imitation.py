"""Train a policy that tracks recorded motion with the simulated humanoid (PPO, optionally with AMP's style reward).

Command:
    python -m experiments.train_imitation --config=configs/imitation.py --config.clips='mocap/**/*.amc,more/*.bvh'
    python -m experiments.train_imitation --config=configs/imitation.py:gpu --config.clips='amass/**/*.npz'

Variants: ``cpu`` (default) tracks with actions around the reference pose, 256 observations and two layers of 256;
``expert`` learns small corrections of plans (``--config.clips`` is a folder of ``experiments.plan_library``, with raw
files beside it or not), under pushes and from perturbed starts, by SuperTrack; ``gpu`` is PHC's set-up
(``physhmr.md`` 2.2-2.7: absolute targets, 934 observations, six layers, AMP); ``test`` is the cpu variant in small.
Every value can be overridden on the command line.

The same command continues a run that was stopped, bit for bit on a CPU. Result, in ``config.out``: ``config.json``,
``metrics.jsonl`` and TensorBoard events, ``checkpoints/`` and ``policy.npz``, which ``experiments.evaluate`` and
``mjxhuman track`` take.
"""

from ml_collections import config_dict

from mjxhuman.options import ClipOptions, values


def get_config(variant: str = "cpu") -> config_dict.ConfigDict:
    """The values of a variant: "cpu", "expert", "gpu" or "test"."""
    config = _common()
    config.variant = variant
    try:
        {"cpu": _cpu, "expert": _expert, "gpu": _gpu, "test": _test}[variant](config)
    except KeyError:
        raise ValueError(
            f"configs/imitation.py: expected variant cpu, expert, gpu or test, found {variant!r}"
        ) from None
    return config


def _common() -> config_dict.ConfigDict:
    config = config_dict.ConfigDict()
    config.clips = ""  # files, folders or globs, separated by commas; unset: the built-in walking clip
    config.out = "out/imitation"  # run folder: policy, checkpoints, metrics
    config.start_from = ""  # a policy file to begin with instead of a random policy; the critic begins anew
    config.seed = 0  # of everything that is drawn
    config.samples = 20_000_000  # control steps to train for, over all environments
    config.evaluate_every = 50  # iterations between evaluations of every clip from its start
    config.evaluate_push = 0.0  # m/s, once a second while evaluating: what chooses the best policy of plans
    config.evaluate_perturbed = False  # evaluations start off the clips' states
    config.checkpoint_every = 20  # iterations
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.wandb = ""  # project to log to as well (needs the package wandb)
    config.quiet = False  # no progress bar
    # how the clips are read: the flags of `mjxhuman track`, under the same names
    config.reading = config_dict.ConfigDict(values(ClipOptions))

    config.vary = config_dict.ConfigDict()  # what is learned beside the clips; see physics.variations. Plans have none
    config.vary.mirror = False  # mirror images, of what follows too
    config.vary.speeds = ()  # factors, 0.85 for example
    config.vary.curvatures = ()  # radians per metre that the root goes, 0.3 for example

    config.stature = config_dict.placeholder(float)  # m; unset: 1.71
    config.engine = config_dict.placeholder(str)  # "c", "jax" or "warp"; unset: warp on an NVIDIA GPU, else c
    config.contacts = "full"  # what may touch the floor: "full" or "feet"
    config.tuning = "stock"  # of the servos, a name in humanoids.tuning; plans are made with "light"

    config.randomize = config_dict.ConfigDict()  # what bodies differ in; see humanoids.actuated.randomized_models
    config.randomize.bodies = 0  # how many different ones the environments take turns in; 0: all the same
    config.randomize.friction = (0.7, 1.3)  # lowest and highest factor
    config.randomize.mass = (0.9, 1.1)
    config.randomize.gain = (0.9, 1.1)

    config.task = _task()
    config.algorithm = "ppo"  # or "supertrack", through a learned simulator
    config.ppo = config_dict.ConfigDict()  # see mjxhuman.learning.ppo.PPOConfig
    config.supertrack = config_dict.ConfigDict()  # see mjxhuman.learning.supertrack.SuperTrackConfig
    config.amp = config_dict.placeholder(config_dict.ConfigDict)  # see mjxhuman.learning.amp.AMPConfig; unset: no AMP
    return config


def _task() -> config_dict.ConfigDict:
    """The task of envs.imitation.ImitationConfig, PHC's: a table name -> values for each kind of term.

    The terms that there are stand in envs/imitation/terms.py and events.py; "term" names that of an entry of another
    name. What an entry does not set has the default of its function.
    """
    config = config_dict.ConfigDict()
    config.task = config_dict.ConfigDict()
    config.task.groups = config_dict.ConfigDict()  # observations in order, by the network that sees them
    config.task.groups.state = ("proprioception", "imitation_task")  # the policy
    config.task.groups.privileged_state = ()  # the critic, with --config.ppo.critic_obs=privileged_state
    config.task.observations = _ordered()  # those that are noisy or late
    config.task.observations.compact = config_dict.ConfigDict()
    config.task.observations.compact.noise = 0.0  # standard deviation, drawn anew for each number and step
    config.task.observations.compact.uniform = False  # uniform instead of Gaussian
    config.task.observations.compact.delay = 0  # control steps
    for name in ("proprioception", "imitation_task", "keypoint_task", "previous_action"):
        config.task.observations[name] = config.task.observations.compact.copy_and_resolve_references()

    config.task.rewards = _ordered()
    config.task.rewards.imitation = config_dict.ConfigDict()
    config.task.rewards.imitation.weight = 1.0  # of the sum of four kernels exp(-k * error)
    config.task.rewards.imitation.w_pos = 0.5  # their weights: positions,
    config.task.rewards.imitation.w_rot = 0.3  # rotations,
    config.task.rewards.imitation.w_vel = 0.1  # linear
    config.task.rewards.imitation.w_angvel = 0.1  # and angular velocities of the bodies
    config.task.rewards.imitation.k_pos = 100.0  # their scales, 1/m^2
    config.task.rewards.imitation.k_rot = 10.0  # 1/rad^2
    config.task.rewards.imitation.k_vel = 0.1  # s^2/m^2
    config.task.rewards.imitation.k_angvel = 0.1  # s^2/rad^2
    config.task.rewards.power = config_dict.ConfigDict()
    config.task.rewards.power.weight = 5e-4  # per W

    config.task.terminations = _ordered()
    config.task.terminations.any_body = config_dict.ConfigDict()
    config.task.terminations.any_body.distance = 0.25  # m by which any body may be off

    config.task.starts = _ordered()  # what differs from the clip's frame that an episode starts on; 0: nothing
    config.task.starts.heading = config_dict.ConfigDict()
    config.task.starts.heading.largest = 0.0  # rad by which the clip may be turned about the vertical
    config.task.starts.perturb = config_dict.ConfigDict()
    config.task.starts.perturb.position = 0.0  # m, of the root along each axis (upwards only)
    config.task.starts.perturb.orientation = 0.0  # rad, of the root about each axis
    config.task.starts.perturb.joints = 0.0  # rad, of each joint axis
    config.task.starts.perturb.linear_velocity = 0.0  # m/s, of the root
    config.task.starts.perturb.angular_velocity = 0.0  # rad/s, of the root
    config.task.starts.perturb.joint_velocity = 0.0  # rad/s, of each joint axis

    config.task.events = _ordered()  # what happens on the way
    config.task.events.push = config_dict.ConfigDict()
    config.task.events.push.rate = 0.0  # pushes per second
    config.task.events.push.speed = 0.5  # m/s, largest horizontal velocity a push adds
    return config.task


def _ordered() -> config_dict.ConfigDict:
    """A table whose entries keep their order."""
    return config_dict.ConfigDict(sort_keys=False)


def _cpu(config: config_dict.ConfigDict) -> None:
    config.task.action = "residual"
    config.task.action_scale = 0.5
    config.task.joint_scale = (
        ("Torso", 0.6), ("Spine", 0.6), ("Chest", 0.6), ("Toe", 0.4), ("Thorax", 0.3), ("Shoulder", 0.5),
        ("Elbow", 0.4), ("Wrist", 0.2), ("Hand", 0.2), ("Neck", 0.2), ("Head", 0.2),
    )  # fmt: skip
    config.task.smoothing = 0.8
    config.task.groups.state = ("compact", "previous_action")
    config.task.rewards.power.weight = 1e-5
    config.task.rewards.foot_slip = config_dict.ConfigDict()
    config.task.rewards.foot_slip.weight = 0.5  # per m/s
    config.task.rewards.foot_slip.standing_speed = 0.3  # m/s, below which a foot of the reference stands

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


def _expert(config: config_dict.ConfigDict) -> None:
    _cpu(config)
    config.samples = 200_000_000
    config.evaluate_every = 100
    config.evaluate_push, config.evaluate_perturbed = 0.3, True  # undisturbed, a plan needs no policy
    config.tuning = "light"  # the planner's body
    still = ("Toe", "Thorax", "Shoulder", "Elbow", "Wrist", "Hand", "Neck", "Head")
    config.task.joint_scale = tuple((name, 0.0) for name in still)  # 27 axes of hips, knees, ankles and trunk are left
    config.task.smoothing = 0.5  # what the shipped one has; 0.8 learned as fast
    config.task.favour = "learnable"
    config.task.groups.state = ("compact", "balance_error", "feed_forward", "preview", "previous_action")
    del config.task.rewards["imitation"], config.task.rewards["power"], config.task.rewards["foot_slip"]
    for name, weight in (("deviation", 1.0), ("effort", 0.1), ("action_rate", 0.1)):
        config.task.rewards[name] = config_dict.ConfigDict()
        config.task.rewards[name].weight = weight
    del config.task.terminations["any_body"]
    config.task.terminations.mean_body = config_dict.ConfigDict()
    config.task.terminations.mean_body.distance = 0.25  # m, mean of the bodies
    perturb = config.task.starts.perturb
    perturb.position, perturb.orientation, perturb.joints = 0.05, 0.1, 0.1  # tracking.disturbance.PERTURBED
    perturb.linear_velocity, perturb.angular_velocity, perturb.joint_velocity = 0.5, 0.52, 0.5
    config.task.events.push.rate = 0.2
    config.task.events.push.speed = 0.4

    config.ppo.num_envs = 1024  # for comparison, with --config.algorithm=ppo
    config.ppo.unroll_length = 24
    config.ppo.num_epochs = 3
    config.ppo.minibatch_size = 6144
    config.ppo.gamma = 0.96
    config.ppo.learn_std = True
    config.ppo.anneal = 2000  # iterations, 49 million samples
    config.ppo.average = 0.95
    config.ppo.group_advantages = True
    config.ppo.actor_hidden = (512, 256)

    config.algorithm = "supertrack"
    learn = config.supertrack
    learn.num_envs, learn.unroll_length = 128, 16
    learn.chunks, learn.recent = 8192, 2048  # of the replay buffer, and from how many the policy's windows begin
    learn.noise = (0.02, 0.2)
    learn.model_hidden = (512, 512, 512)
    learn.model_updates, learn.model_batch, learn.model_window = 8, 128, 8
    learn.model_learning_rate = 1e-3
    learn.model_precision = "float32"
    learn.updates, learn.batch, learn.horizon = 6, 128, 16
    learn.learning_rate = 4.5e-4
    learn.imagined_noise = 0.1
    learn.warm_up = 150
    learn.anneal, learn.final_rate = 2000, 0.1  # iterations, and what is left of both learning rates
    learn.average = 0.9
    learn.actor_hidden = (512, 256)


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
