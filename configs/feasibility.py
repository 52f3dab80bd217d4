"""Score any number of motion files with the three-axis feasibility reward.

Command:
    python -m experiments.score_motion --config=configs/feasibility.py --config.inputs='mocap/**/*.bvh,more/*.npz'

Hardware: any CPU; a GPU is used where JAX finds one. Memory does not grow with the number of files.
Time: reading and retargeting takes nearly all of it, about 2 s of CPU time per file (0.5 to 4 s for 30 to 2000 frames);
the score itself takes 0.01 to 0.1 s. The first file waits for compilation, about 20 s on a new machine.

Result, in ``config.out``: ``scores.jsonl``, one line per file (format: ``mjxhuman.scoring.files``), and ``run.json``
with this configuration, the machine and the counts. A stopped run is continued by the same command.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line, as in ``--config.reward=phymotion``."""
    config = config_dict.ConfigDict()
    config.inputs = ""  # files, folders or globs, separated by commas; ** crosses folders
    config.out = "out/feasibility"
    config.reward = "feasibility"  # or "phymotion"
    config.limit = 0  # score only the first so many files; 0 for all
    config.resume = True  # False: start over and replace scores.jsonl
    config.read_ahead = 8  # files loaded ahead while others are scored; bounds the memory
    config.quiet = False  # no progress bar

    config.humanoid = config_dict.ConfigDict()
    config.humanoid.name = "smpl"  # a built-in humanoid, or an MJCF file with SMPL's body names
    config.humanoid.stature = config_dict.placeholder(float)  # m; unset: the subject's, from each file
    config.humanoid.mass = config_dict.placeholder(float)  # kg; unset: the one that goes with the stature

    # What a file does not say about itself. Unset: the file's own value, else its format's convention, else an error.
    config.fps = config_dict.placeholder(float)  # frames per second
    config.up = config_dict.placeholder(str)  # "y" or "z"
    config.unit = config_dict.placeholder(str)  # "m", "cm", "mm", "inch"
    config.skeleton = config_dict.placeholder(str)  # skeleton file for formats that need one (.asf for .amc)
    config.ground = "stance"  # what brings the feet to the floor; recorded in the result
    return config
