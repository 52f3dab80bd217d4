"""Motion of any source onto a humanoid of SMPL topology: direct, or by inverse kinematics; grounded, with a report."""

from mjxhuman.retarget.motion import retarget_motion, retarget_with_report

__all__ = ["retarget_motion", "retarget_with_report"]
