"""Align seated people with furniture from many starts.

Command:
    python -m experiments.align_scenes --config=align_scenes --config.first=7

Hardware: any CPU; half an hour on two cores. Variants: "test", a minute.

Result: a table, a line per start in ``config.out``, and one JSON line.
"""

from ml_collections import config_dict

VARIANTS = ("test",)


def get_config(variant: str = "") -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line."""
    if variant not in ("", *VARIANTS):
        raise ValueError(f"variant: expected one of {', '.join(VARIANTS)}, found {variant!r}")
    small = variant == "test"
    config = config_dict.ConfigDict()
    config.out = "out/align"  # folder of starts.jsonl
    config.kinds = "chair,stool" if small else "chair,stool,bench,sofa"  # built-in furniture with a seat
    config.objects = 1 if small else 3  # of each kind and seed
    config.files = ""  # other furniture, with commas
    config.first = 0  # first seed of what is drawn
    config.seeds = 1 if small else 3  # each draws furniture and starts anew
    config.starts = 1 if small else 2  # deep ones, and as many far ones, for each object and pose
    config.methods = "ours" if small else "ours,paper,smooth"  # the first is measured on all starts
    config.others = 48  # starts of the other methods, evenly chosen
    config.block = 64  # scenes given to ``align_many`` at once
    config.speed = 16 if small else 256  # scenes whose speed is measured
    config.speed_pieces = 8  # of furniture of at most so many pieces
    config.loops = 1 if small else 4  # scenes that SciPy solves one by one
    return config
