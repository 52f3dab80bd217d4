"""The interaction benchmark: people on furniture, reconstructed with errors, aligned, simulated and judged.

Command:
    python -m experiments.benchmark_hsi
    python -m experiments.benchmark_hsi --config=benchmark_hsi:test

Hardware: any CPU. Time: a few seconds of processor time per case and method after a minute of compilation; a stopped
run is continued by the same command. Every number is explained in experiments/benchmark_hsi.py.
"""

from ml_collections import config_dict


def get_config(variant: str = "full") -> config_dict.ConfigDict:
    """The values of a variant: "full", or "test", the same in small."""
    if variant not in ("full", "test"):
        raise ValueError(f"configs/benchmark_hsi.py: expected variant full or test, found {variant!r}")
    config = config_dict.ConfigDict()
    config.out = f"out/benchmark_hsi/{variant}"  # folder of manifest.json, cases.jsonl and result.json
    config.cases = 300 if variant == "full" else 6
    config.objects = 60 if variant == "full" else 6  # built-in ones that the cases are on
    config.shared = ""  # folder of furniture files that there are cases on, too
    config.every = 1  # run only every so manieth case
    config.methods = ("none", "paper", "smooth", "ours", "truth") if variant == "full" else ("none", "truth")
    config.dear = 5  # "smooth" is run on every so manieth case
    config.tracker = ""  # what drives the person: "": servos; "planner"; a tracker's name ("expert", "ppo") or file
    config.hold = 3.0 if variant == "full" else 1.5  # s
    config.drops = 16 if variant == "full" else 2  # per object, of the gravity test
    config.picture = 6 if variant == "full" else 0  # cases that are drawn; 0: no pictures
    config.seed = 0  # of everything that is drawn
    config.quiet = False  # no progress bar
    return config
