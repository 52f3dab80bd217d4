"""The robot Unitree G1 with 29 joints, from the user's MJCF; the names are those of Unitree's own files."""

from __future__ import annotations

from mjxhuman.humanoids.record import BodyRecord, Servo


def _both(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in ("left", "right") for name in names)


_LEGS = ("hip_roll_link", "knee_link", "ankle_roll_link")
_ARMS = ("shoulder_roll_link", "elbow_link", "wrist_yaw_link")

#: Gains N m/rad; damping is a tenth of them, N m s/rad. Those of ProtoMotions' ``g1_bm_no_mesh_box_feet.xml``. Caps are
#: the model's torque limits.
_GAINS = {
    "hip_pitch_joint": 100, "hip_roll_joint": 100, "hip_yaw_joint": 100, "knee_joint": 200,
    "ankle_pitch_joint": 20, "ankle_roll_joint": 20,
    "waist_yaw_joint": 400, "waist_roll_joint": 400, "waist_pitch_joint": 400,
    "shoulder_pitch_joint": 90, "shoulder_roll_joint": 60, "shoulder_yaw_joint": 20, "elbow_joint": 60,
    "wrist_roll_joint": 4, "wrist_pitch_joint": 4, "wrist_yaw_joint": 4,
}  # fmt: skip

#: The fourteen bodies that BeyondMimic (arXiv 2508.08241) tracks.
UNITREE_G1 = BodyRecord(
    name="unitree_g1",
    tracked=("pelvis", *_both(*_LEGS), "torso_link", *_both(*_ARMS)),
    feet=_both("ankle_roll_link"),
    servos=tuple((name, Servo(gain, 0.1 * gain)) for name, gain in _GAINS.items()),
    contacts=(
        *((f"{side}_hand", f"{side}_wrist_yaw_link") for side in ("left", "right")),
        *((f"{side}_shank", f"{side}_knee_link") for side in ("left", "right")),
        ("pelvis", "pelvis"), ("torso", "torso_link"),
    ),
    key=(*_both("ankle_roll_link", "wrist_yaw_link"), "torso_link"),
    root_height=0.793,
    stature=1.32,
)  # fmt: skip
