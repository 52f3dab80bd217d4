"""Score any number of motion files with the three-axis feasibility reward.

Command:
    python -m experiments.score_motion --config=configs/feasibility.py --config.inputs='mocap/**/*.bvh,more/*.npz'

Hardware: any CPU; a GPU is used where JAX finds one. Memory does not grow with the number of files.
Time: reading and retargeting takes nearly all of it, about 2 s of CPU time per file (0.5 to 4 s for 30 to 2000 frames);
the score itself takes 0.01 to 0.1 s. The first file waits for compilation, about 20 s on a new machine.

Result, in ``config.out``: ``scores.jsonl``, one line per file (format: ``mjxhuman.scoring.files``), ``scores.csv``, and
``run.json`` with this configuration, the machine and the counts. A stopped run is continued by the same command.
"""

from ml_collections import config_dict

from mjxhuman.options import ScoreOptions, values


def get_config() -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line, as in ``--config.reward=phymotion``."""
    config = config_dict.ConfigDict()
    config.inputs = ""  # files, folders or globs, separated by commas; ** crosses folders
    config.out = "out/feasibility"  # folder of scores.jsonl and run.json
    config.limit = 0  # score only the first so many files; 0 for all
    config.resume = True  # False: start over and replace scores.jsonl
    config.read_ahead = 8  # files loaded ahead while others are scored; bounds the memory
    config.workers = 0  # files read and scored at the same time by processes of their own; 0: one after the other
    config.backend = "local"  # whose workers: "local", this machine's, or "ray", a Ray cluster's (extra ray)
    config.min_total = 0.0  # list the files with at least this total in kept.txt; 0 for no list
    config.quiet = False  # no progress bar
    # how files are read and scored: the flags of `mjxhuman score`, under the same names; None: the file's own
    config.update(values(ScoreOptions))
    return config
