"""Recover the motion of the people in a video, or in files of 2D keypoints, and score its physics.

Command:
    python -m experiments.recover_motion --config=configs/video.py --config.video=dance.mp4

Hardware: any CPU. Time: about 20 s to start (compilation, once per machine), then about a second of work per second of
video; the encoder runs one process per core. Memory does not grow with the length of the video.

Result, in ``config.out``: per person ``<video>_<person>.npz`` (the motion, which every other command reads) and
``<video>_<person>.jsonl`` (score, reprojection error, assumptions), and ``report.html`` with the video beside the body.
"""

from ml_collections import config_dict

from mjxhuman.options import LoadOptions, values


def get_config() -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line."""
    config = config_dict.ConfigDict()
    config.video = ""  # a video, or 2D keypoints (.json, .npz, a folder of OpenPose files); several with commas
    config.out = "out/recovered"  # folder of motion, report and pictures
    # how people are found and put on a body: the flags of `mjxhuman score`, under the same names; person="all" as well
    config.update(values(LoadOptions))
    return config
