"""Recover the motion of the people in a video, or in files of 2D keypoints, and score its physics.

Command:
    python -m experiments.recover_motion --config=configs/video.py --config.video=dance.mp4

Hardware: any CPU. Time: about 20 s to start (compilation, once per machine), then about a second of work per second of
video; the encoder runs one process per core. Memory does not grow with the length of the video.

Result, in ``config.out``: per person ``<video>_<person>.npz`` (the motion, which every other command reads) and
``<video>_<person>.jsonl`` (score, reprojection error, assumptions), and ``report.html`` with the video beside the body.
"""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
    """The values; each can be overridden on the command line."""
    config = config_dict.ConfigDict()
    config.video = ""  # a video, or 2D keypoints (.json, .npz, a folder of OpenPose files); several with commas
    config.out = "out/recovered"
    config.encoder = "blazepose"  # see `mjxhuman info`
    config.weights = config_dict.placeholder(str)  # folder of the encoder's weights, where it does not bring its own
    config.person = "largest"  # or a number, or "all"
    config.region = config_dict.placeholder(tuple)  # x0, y0, x1, y1 px: only this part of the picture
    config.camera = config_dict.placeholder(str)  # calibration file, or file:name; unset: tilt as found, focal below
    config.focal = config_dict.placeholder(float)  # px; unset: the image diagonal
    config.fps = config_dict.placeholder(float)  # where the file says it wrong (slow motion)
    config.ground = "stance"  # what brings the feet to the floor
    config.stature = config_dict.placeholder(float)  # m; unset: what the fit finds, near the average
    return config
