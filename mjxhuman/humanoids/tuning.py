"""How a body's record becomes a simulated body: named sets of numbers that files carry."""

from __future__ import annotations

import dataclasses
import json
import os

Factors = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Changes to what a body's record says of its servos, and the shape of what it stands on.

    Joints go by their names without side; the factor of those that are not listed is 1.
    """

    name: str
    damping: float = 1.0  # factor on the damping of all joints
    damping_of: Factors = ()  # further factors on that of single joints
    gain_of: Factors = ()  # factors on the gains of single joints
    cap: float = 1.0  # factor on the caps of all joints
    cap_of: Factors = ()  # further factors on those of single joints
    sole_radius: float = 0.02  # m, largest radius of the spheres in the corners of box soles
    skin: bool = (
        False  # whether the drawn shapes of trunk, head, thighs, upper arms and hands rest on the floor as well
    )

    def factors(self, joint: str) -> tuple[float, float, float]:
        """On the record's gain, damping and cap of a joint, by its name without side."""
        gain, damping, cap = (dict(x).get(joint, 1.0) for x in (self.gain_of, self.damping_of, self.cap_of))
        return gain, self.damping * damping, self.cap * cap

    def text(self) -> str:
        """JSON; ``tuning_from`` makes the same of it."""
        return json.dumps(dataclasses.asdict(self))


#: The record's own servos.
STOCK = Tuning("stock")

#: The body of planners. Joints have a quarter of PHC's damping: the whole of it takes 23-78 N m per axis to overcome in
#: a run, where inverse dynamics asks the joints for 3-14. Ankles are those of people who walk, 400 N m/rad and 2 N m
#: s/rad (Rouse et al. 2014, IEEE Trans Neural Syst Rehabil Eng 22:870: 1.5-6.5 N m/rad and 0.012-0.038 N m s/rad per kg
#: in stance), toes 50 and 1.25 (without muscles 25 and 0.03: Sasaki et al. 2009, as in OpenSim's models).
#:
#: More damping there is felt as a soft floor: MuJoCo finds contact forces from inertia alone and integrates joint
#: damping implicitly afterwards, so a force moves a foot less than the solver expects, by 1 + timestep * damping /
#: inertia (6 for an ankle with 20 at 120 Hz), and soles sink and slide. Less damping alone makes stiff ankles ring. A
#: sphere puts the corner of a tilted sole up to 0.7 radii below the floor, hence small ones.
#:
#: Springs are capped at half of SMPLSim's 150 to 500 N m; ankles at 350 and toes at 150, what sprinting takes
#: (``humanoids.strength``). Uncapped this little damping lets limbs spin faster than 120 Hz can integrate: under random
#: targets of 2 rad every one of 32 bodies broke down within 3 s, with these caps none of 64 within 10 s.
LIGHT = Tuning(
    "light",
    damping=0.25,
    damping_of=(("Ankle", 0.1), ("Toe", 0.1)),
    gain_of=(("Ankle", 0.5), ("Toe", 0.1)),
    cap=0.5,
    cap_of=(("Ankle", 1.4), ("Toe", 0.6)),
    sole_radius=0.005,
)

_LISTS, _NUMBERS = ("damping_of", "gain_of", "cap_of"), ("damping", "cap", "sole_radius")

TUNINGS = {tuning.name: tuning for tuning in (STOCK, LIGHT)}


def tuning_named(name: str) -> Tuning:
    """A tuning of ``TUNINGS``.

    Raises:
        ValueError: no such name.
    """
    if name not in TUNINGS:
        raise ValueError(f"tuning: expected one of {', '.join(TUNINGS)}, found {name!r}")
    return TUNINGS[name]


def tuning_from(text: str | None, source: str | os.PathLike[str]) -> Tuning:
    """The tuning that a file, ``source``, states; None: ``STOCK``, that of files from before there were others.

    Raises:
        ValueError: no JSON, or fields that are missing, unknown or of another kind.
    """
    if text is None:
        return STOCK
    try:
        found = json.loads(text)
        found |= {name: tuple((str(j), float(x)) for j, x in found[name]) for name in _LISTS}
        found |= {name: float(found[name]) for name in _NUMBERS}
        return Tuning(**found)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        fields = ", ".join(field.name for field in dataclasses.fields(Tuning))
        raise ValueError(f"{source}: tuning: expected JSON of {fields}, found {text!r}") from error
