"""Motion files in and out: one module per format, each turning a file into the pytrees of ``mjxhuman.types``."""

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.formats import Format, register_format
from mjxhuman.data.joint_names import marker_bodies, smpl_joint_map
from mjxhuman.data.npz import QposMotion, save_motion
from mjxhuman.data.read import read_motion
from mjxhuman.data.write import write_motion
from mjxhuman.types import SMPL_JOINTS, SMPL_PARENTS

__all__ = [
    "SMPL_JOINTS",
    "SMPL_PARENTS",
    "Format",
    "MotionFileError",
    "QposMotion",
    "marker_bodies",
    "read_motion",
    "register_format",
    "save_motion",
    "smpl_joint_map",
    "write_motion",
]
