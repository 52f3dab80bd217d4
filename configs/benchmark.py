"""How fast kinematics, dynamics, rewards and simulation are on this machine, beside plain C MuJoCo.

Command:
    python -m experiments.benchmark reward
    python -m experiments.benchmark reward --config.batches='(1,64)' --config.out=out/quick.json
    python -m experiments.benchmark simulate
    python -m experiments.benchmark train
    python -m experiments.benchmark plan
    python -m experiments.benchmark scenes
    python -m experiments.benchmark generator
    python -m experiments.benchmark video --config.video.file=dance.mp4
    python -m experiments.benchmark simulate --config.simulate.engines='("c","jax")' --config.simulate.contacts=feet

Hardware: any; use a quiet machine. Time: about 3 minutes on 2 CPU cores. Every number is explained in
experiments/benchmark.py.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line."""
    config = config_dict.ConfigDict()
    config.out = ""  # JSON file; "": out/benchmark/<name of the benchmark>.json
    config.frames = 81  # per clip
    config.fps = 30.0  # of the clips
    config.batches = (1, 64, 1024)  # clips per call
    config.seconds = 2.0  # measured per function and batch, after the first call
    config.fresh_process = True  # also time the first result of new processes, without and with a compilation cache
    config.peer = ""  # MJCF file of the body in the C loop, with hinges; "": the built-in body with hinges
    config.seed = 0  # of everything that is drawn
    config.simulate = config_dict.ConfigDict()
    config.simulate.engines = ("c",)  # of "c", "jax", "warp"
    config.simulate.envs = (64, 256, 1024)  # environments per call
    config.simulate.most_envs = config_dict.ConfigDict({"jax": 256})  # larger batches of an engine are left out
    config.simulate.contacts = "full"  # "full" or "feet"
    config.simulate.self_contacts = True
    config.simulate.target_std = 0.1  # rad
    config.simulate.control_steps = 30  # per call, 1 s
    config.simulate.repeats = 5  # calls after the first, of which the fastest counts
    config.scenes = config_dict.ConfigDict()
    config.scenes.boxes = (6, 12, 24)  # pieces of the furniture, as boxes,
    config.scenes.hulls = (17,)  # and as hulls of 32 corners
    config.scenes.pieces = 32  # of the bucket that they are padded to
    config.scenes.envs = 32  # environments per call
    config.scenes.target_std = 0.02  # rad
    config.scenes.control_steps = 30  # per call, 1 s
    config.scenes.repeats = 3  # calls after the first, of which the cheapest counts
    config.generator = config_dict.ConfigDict()
    config.generator.file = "motion"  # the one that ships, or a file
    config.generator.samples = 16  # per call
    config.generator.repeats = 3  # calls after the first, of which the fastest counts
    config.plan = config_dict.ConfigDict()
    config.plan.presets = ("fast", "default")  # of planning.PRESETS
    config.plan.seconds = 1.0  # of the built-in walk
    config.plan.repeats = 3  # calls after the first, of which the cheapest counts
    config.train = config_dict.ConfigDict()
    config.train.variant = "cpu"  # of configs/imitation.py
    config.train.repeats = 5  # calls after the first, of which the fastest counts
    config.video = config_dict.ConfigDict()
    config.video.file = ""  # a video of a person
    config.video.encoder = "blazepose"
    config.video.repeats = 3  # calls after the first, of which the fastest counts
    config.video.videos = 8  # of the reward's batch,
    config.video.frames = 45  # of so many frames,
    config.video.side = 832  # px of the longer side,
    config.video.fps = 16.0  # as generators make them
    return config
