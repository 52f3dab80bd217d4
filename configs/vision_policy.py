"""Train a policy that moves the simulated body as a video shows (``experiments.train_vision``).

Command:
    python -m experiments.train_vision --config=configs/vision_policy.py --config.clips='mocap/**/*.amc,more/*.bvh'
    python -m experiments.train_vision --config=configs/vision_policy.py:physhmr --config.clips='amass/**/*.npz'

Variants: ``cpu`` (default) acts around the whole-clip fit and sees it beside features and rays; ``gpu`` is the same
with large networks and many environments; ``physhmr`` sees the 924 numbers of PhysHMR's release and has its targets and
network, with weights of the expert's loss that teach; ``released`` has the release's own; ``test`` is cpu in small.

Ablations are values: ``--config.task.groups.state=`` names what is seen, ``--config.task.groups.expert=()`` leaves the
expert out, ``--config.distill.first=2e6`` leaves PPO out, ``--config.videos.count=1`` films once.

The same command continues a run that was stopped, bit for bit on a CPU. Result, in ``config.out``: what
``experiments.train_imitation`` leaves; ``best.npz`` is for ``mjxhuman reconstruct --method policy --policy``.
"""

from ml_collections import config_dict

from configs.imitation import get_config as imitation
from mjxhuman.options import ClipOptions, values

VARIANTS = ("cpu", "supertrack", "gpu", "physhmr", "released", "test")
#: What PhysHMR's policy sees (v358).
RELEASED = ("proprioception", "video_features", "root_orientation", "rays", "ray_confidence")
#: What the variant ``supertrack`` sees besides what a tracker would see of the whole-clip fit.
SEEN = ("root_orientation", "rays_weighted", "ray_confidence", "view", "estimate_depth")


def get_config(variant: str = "cpu") -> config_dict.ConfigDict:
    """The values of a variant, one of ``VARIANTS``."""
    if variant not in VARIANTS:
        raise ValueError(f"configs/vision_policy.py: expected variant {', '.join(VARIANTS)}, found {variant!r}")
    config = _common()
    config.variant = variant
    if variant in ("physhmr", "released"):
        _released(config)
    if variant in ("gpu", "physhmr", "released"):
        _large(config)
    if variant == "released":
        config.distill.first = config.distill.last = 0.1
        config.warm_up.samples = config.warm_up.settle = 0
        config.ppo.learning_rate = 2e-5
    if variant == "supertrack":
        _supertrack(config)
    if variant == "test":
        _test(config)
    return config


def _common() -> config_dict.ConfigDict:
    config = config_dict.ConfigDict()
    config.clips = ""  # files, folders or globs, separated by commas; unset: the built-in walking clip
    config.held_out = ""  # beginnings of names of files that are left out, separated by commas
    config.seconds = 5.0  # of each clip, from its start
    config.held_by_expert = True  # train on clips that the expert tracks to the end
    config.expert = ""  # a tracker's file or run folder; unset: the shipped one. Its body is the policy's
    config.start_from = ""  # a policy file, a run's folder or "expert", which sees the first of what this one sees
    config.out = "out/vision"  # run folder: policy, checkpoints, metrics
    config.seed = 0  # of everything that is drawn
    config.samples = 30_000_000  # control steps to train for, over all environments
    config.evaluate_every = 50  # iterations between evaluations of every clip's first video
    config.checkpoint_every = 20  # iterations
    config.max_seconds = 0.0  # stop after so long, with a checkpoint; 0: no limit
    config.tensorboard = True  # event files beside metrics.jsonl
    config.wandb = ""  # project to log to as well (needs the package wandb)
    config.quiet = False  # no progress bar
    config.engine = config_dict.placeholder(str)  # "c", "jax" or "warp"; unset: warp on an NVIDIA GPU, else c
    config.reading = config_dict.ConfigDict(values(ClipOptions))  # how the clips are read

    config.vary = config_dict.ConfigDict()  # what is learned beside the clips; see physics.variations
    config.vary.mirror = False
    config.vary.speeds = ()  # factors
    config.vary.curvatures = ()  # radians per metre that the root goes

    config.videos = config_dict.ConfigDict()  # of every clip
    config.videos.count = 4
    config.videos.seed = 0  # of the first; the next ones count up
    config.videos.cameras = ("standing", "panning")  # in turns; see encoders.viewpoints
    config.videos.noises = ("detector",)  # in turns; see encoders.detection_noise
    config.videos.carry = True  # move the true motion to where a video has it: nobody sees how far away it is

    config.keep_lead = 0.9  # share of the episodes led by the expert that is left after each iteration; 0: none
    config.warm_up = config_dict.ConfigDict()  # the expert's loss alone
    config.warm_up.samples = 10_000_000
    config.warm_up.settle = 1_000_000  # samples after that in which the critic alone learns
    config.warm_up.first = 5e-4  # learning rate
    config.warm_up.last = 1e-4
    config.distill = config_dict.ConfigDict()  # weights of the expert's loss, see learning.distill
    config.distill.alone = 100.0  # while warming up
    config.distill.first = 10.0  # when PPO begins; above 1e6: PPO never does
    config.distill.last = 1.0
    config.distill.over = 20_000_000  # samples from the one to the other

    config.task = _task()
    config.algorithm = "ppo"  # or "supertrack", through a learned simulator
    config.ppo = _ppo()
    config.supertrack = config_dict.ConfigDict()  # see mjxhuman.learning.supertrack.SuperTrackConfig
    config.amp = config_dict.placeholder(config_dict.ConfigDict)  # see mjxhuman.learning.amp.AMPConfig; unset: no AMP
    return config


def _task() -> config_dict.ConfigDict:
    """The task, of envs.vision.VisionConfig; tables keep the order of their entries."""
    task = config_dict.ConfigDict()
    task.action = "residual"  # around the feed-forward control of the fit; or "absolute"
    task.action_scale = 0.5  # rad
    task.joint_scale = ()
    task.smoothing = 0.5  # share of the last action that is kept
    task.favour = "learnable"  # clips by the policy's own failures
    task.groups = config_dict.ConfigDict()
    task.groups.state = (
        "compact", "feed_forward", "video_features", "root_orientation", "rays_weighted", "ray_confidence", "view",
        "estimate_depth", "previous_action",
    )  # fmt: skip
    task.groups.privileged_state = ("compact", "balance_error", "previous_action")  # the critic sees the truth
    task.groups.expert = ("expert",)  # (): nobody teaches
    task.rewards = config_dict.ConfigDict(sort_keys=False)
    task.rewards.imitation = {"weight": 1.0}
    task.rewards.power = {"weight": 1e-5}  # per W
    task.rewards.foot_slip = {"weight": 0.5}  # per m/s
    task.rewards.reprojection = {"weight": 0.0, "scale": 0.1}  # m
    task.terminations = config_dict.ConfigDict(sort_keys=False)
    task.terminations.mean_body = {"distance": 0.35}  # m
    task.starts = config_dict.ConfigDict(sort_keys=False)
    task.starts.from_estimate = {"share": 0.5}  # of the episodes that start where the video has the body
    task.starts.perturb = {"joints": 0.05, "orientation": 0.05, "linear_velocity": 0.2, "joint_velocity": 0.3}
    return task


def _ppo() -> config_dict.ConfigDict:
    """See mjxhuman.learning.ppo.PPOConfig."""
    ppo = config_dict.ConfigDict()
    ppo.num_envs = 512
    ppo.unroll_length = 16
    ppo.num_epochs = 4
    ppo.minibatch_size = 2048
    ppo.learning_rate = 1e-4
    ppo.gamma = 0.97
    ppo.desired_kl = 0.02
    ppo.log_std = -2.3
    ppo.learn_std = True
    ppo.average = 0.95
    ppo.actor_hidden = (384, 384)
    ppo.critic_hidden = (384, 384)
    ppo.critic_coef = 1.0
    ppo.bounds_coef = 1.0
    ppo.max_grad_norm = 1.0
    ppo.critic_obs = "privileged_state"
    return ppo


def _supertrack(config: config_dict.ConfigDict) -> None:
    """The expert and its step model go on learning, on what a video tells."""
    expert = imitation("expert")
    config.algorithm, config.start_from = "supertrack", "expert"
    config.supertrack = expert.supertrack
    learn = config.supertrack
    learn.learning_rate, learn.model_learning_rate = 1.5e-4, 3e-4
    learn.warm_up, learn.anneal, learn.final_rate = 40, 1500, 0.1
    config.samples = 1500 * learn.num_envs * learn.unroll_length
    config.evaluate_every, config.keep_lead = 250, 0.0
    task, given = config.task, expert.task
    task.joint_scale, task.smoothing = given.joint_scale, given.smoothing
    task.groups.state = (*given.groups.state, *SEEN)
    task.groups.privileged_state = task.groups.expert = ()
    task.rewards = given.rewards
    # m/s and rad/s: what feet that stand and limbs that shake are off by hardly shows in their places
    task.rewards.deviation = {"weight": 1.0, "velocity": 1.0, "angular_velocity": 10.0}
    task.rewards.foot_slip = {"weight": 0.8}
    task.starts.perturb = given.starts.perturb
    task.events = given.events


def _released(config: config_dict.ConfigDict) -> None:
    config.task.action, config.task.action_scale, config.task.smoothing = "absolute", 3.141592653589793, 0.0
    config.task.groups.state = RELEASED
    config.task.groups.privileged_state = ()
    config.task.rewards.power.weight = 5e-4
    config.task.rewards.foot_slip.weight = 0.0
    config.ppo.critic_obs = "state"


def _large(config: config_dict.ConfigDict) -> None:
    config.samples = 2_000_000_000
    config.warm_up.samples, config.warm_up.settle = 400_000_000, 20_000_000
    config.distill.over = 1_000_000_000
    ppo = config.ppo
    ppo.num_envs, ppo.unroll_length, ppo.num_epochs, ppo.minibatch_size = 4096, 32, 6, 16384
    ppo.learning_rate, ppo.desired_kl, ppo.log_std, ppo.learn_std, ppo.average = 2e-5, 0.0, -2.9, False, 0.0
    ppo.gamma, ppo.critic_coef, ppo.bounds_coef, ppo.max_grad_norm = 0.99, 5.0, 10.0, 50.0
    ppo.actor_hidden = ppo.critic_hidden = (2048, 1536, 1024, 1024, 512, 512)


def _test(config: config_dict.ConfigDict) -> None:
    config.samples, config.evaluate_every, config.checkpoint_every = 1024, 4, 4
    config.warm_up.samples, config.warm_up.settle, config.distill.over = 512, 0, 512
    config.seconds, config.videos.count, config.held_by_expert = 1.0, 1, False
    config.ppo.num_envs, config.ppo.unroll_length, config.ppo.minibatch_size = 32, 8, 128
    config.ppo.actor_hidden = config.ppo.critic_hidden = (32,)
