"""The bodies that are known: SMPL's, robots, and those that users register."""

from __future__ import annotations

from collections.abc import Collection

from mjxhuman.humanoids.proportions import BODY_PARENTS, DEFAULT_STATURE
from mjxhuman.humanoids.record import BodyRecord, Servo
from mjxhuman.humanoids.segments import default_mass
from mjxhuman.humanoids.unitree_g1 import UNITREE_G1

#: Spring gain N m/rad and cap N m of each joint's servo. Gains: PHC's ``smpl_0_humanoid.xml``. Caps: SMPLSim's table
#: (500, 250, 150), the same on both sides. Damping is a tenth of the gain, N m s/rad.
_GAINS: dict[str, tuple[float, float]] = {
    "Hip": (800, 500), "Knee": (800, 500), "Ankle": (800, 500), "Toe": (500, 500),
    "Torso": (1000, 500), "Spine": (1000, 500), "Chest": (1000, 500), "Neck": (500, 250), "Head": (500, 250),
    "Thorax": (500, 500), "Shoulder": (500, 500), "Elbow": (500, 150), "Wrist": (300, 150), "Hand": (300, 150),
}  # fmt: skip
_DAMPING_PER_GAIN = 0.1

_BODIES = tuple(BODY_PARENTS)

#: SMPL's topology as PHC tracks it: episodes end by all bodies but ankles and toes, success is judged by all but toes
#: and hands, which the discriminator does not see either.
SMPL = BodyRecord(
    name="smpl",
    tracked=_BODIES,
    feet=("L_Ankle", "L_Toe", "R_Ankle", "R_Toe"),
    servos=tuple((name, Servo(gain, _DAMPING_PER_GAIN * gain, cap)) for name, (gain, cap) in _GAINS.items()),
    evaluated=tuple(name for name in _BODIES if not name.endswith(("_Toe", "_Hand"))),
    key=("L_Ankle", "R_Ankle", "L_Toe", "R_Toe", "L_Wrist", "R_Wrist", "Head", "Chest"),
    style_key=("R_Ankle", "L_Ankle", "R_Wrist", "L_Wrist"),
    style_joints=tuple(name for name in _BODIES[1:] if not name.endswith(("_Toe", "_Hand"))),
    sides=("L_", "R_"),
    armature=0.02,  # PHC's humanoid: ten seconds of random targets of 2 rad stay finite
    strength_of=default_mass(DEFAULT_STATURE) * DEFAULT_STATURE,
)

_RECORDS: dict[str, BodyRecord] = {}


def register(record: BodyRecord) -> BodyRecord:
    """Make a body known: ``load_humanoid`` finds it by its name, and recognises files that have all of its bodies.

    A record of the same name is replaced.
    """
    _RECORDS.pop(record.name, None)
    _RECORDS[record.name] = record
    return record


def registered() -> tuple[str, ...]:
    """Names of the bodies that are known."""
    return tuple(_RECORDS)


def find(name: str) -> BodyRecord:
    """The record of a body.

    Raises:
        ValueError: no body of this name; those that there are are named.
    """
    if name not in _RECORDS:
        raise ValueError(f"body {name!r}: expected one of {', '.join(_RECORDS)}, found none of that name")
    return _RECORDS[name]


def recognise(bodies: Collection[str]) -> BodyRecord | None:
    """The record all of whose bodies a model has, the latest registered first."""
    known = set(bodies)
    return next((r for r in reversed(_RECORDS.values()) if known.issuperset(r.bodies)), None)


register(SMPL)
register(UNITREE_G1)
