"""What makes a body usable beyond its model: which bodies count for what, how its joints are driven, where it rests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


def mirrored(name: str, sides: tuple[str, str] = ("L_", "R_")) -> str:
    """The name on the other side; a middle one stays."""
    for side, other in (sides, sides[::-1]):
        if name.startswith(side):
            return other + name.removeprefix(side)
    return name


@dataclasses.dataclass(frozen=True)
class Servo:
    """A position servo: ``clip(gain * error, -cap, cap) - damping * velocity``. None: what the model says.

    The model's gain is that of its position actuator, or the joint's stiffness (robot files carry it there), its cap
    the narrower of the ranges of actuator and joint, its damping the joint's.
    """

    gain: float | None = None  # N m/rad
    damping: float | None = None  # N m s/rad
    cap: float | None = None  # N m, on the spring part


@dataclasses.dataclass(frozen=True)
class BodyRecord:
    """All that observations, rewards, metrics, servos and contacts need to know of a body; see ``registry.register``.

    Bodies and joints go by their names in the model; a ball joint by its body's. Each is named for both sides where it
    has two. What is left empty follows from the rest.
    """

    name: str
    tracked: tuple[str, ...]  # seen and compared with the reference: the root first, then in the model's order
    feet: tuple[str, ...]  # bodies that stand on the floor
    servos: tuple[tuple[str, Servo], ...] = ()  # by the joint's name without its side; others are the model's own
    contacts: tuple[tuple[str, str], ...] = ()  # (group, body) that may rest on the floor besides the feet
    reset: tuple[str, ...] = ()  # whose distance ends an episode; empty: tracked bodies other than the feet
    evaluated: tuple[str, ...] = ()  # by which success is judged; empty: all tracked
    key: tuple[str, ...] = ()  # whose position error the compact observation holds; empty: tracked but the root
    style_key: tuple[str, ...] = ()  # whose positions the style discriminator sees; empty: as ``key``
    style_joints: tuple[str, ...] | None = None  # that it sees; None: all
    sides: tuple[str, str] = ("left_", "right_")  # how the names of mirror images begin
    armature: float | None = None  # kg m^2 per joint axis; None: the model's
    strength_of: float | None = None  # kg m, weight times stature that gains and caps are for; None: they do not scale
    root_height: float | None = None  # m above the floor when it stands; None: that of the model's rest pose
    stature: float | None = None  # m; None: measured on the model
    mjcf: str | None = None  # its model, where ``load_humanoid`` is given no other

    def __post_init__(self) -> None:
        if not self.tracked:
            raise ValueError(f"body {self.name!r}: tracked: expected the root and other bodies, found none")
        for field, default in (
            ("reset", tuple(b for b in self.tracked if b not in self.feet)),
            ("evaluated", self.tracked),
            ("key", self.tracked[1:]),
        ):
            object.__setattr__(self, field, getattr(self, field) or default)
        object.__setattr__(self, "style_key", self.style_key or self.key)
        for field in ("feet", "reset", "evaluated", "key", "style_key"):
            unknown = [b for b in getattr(self, field) if b not in self.tracked]
            if unknown:
                raise ValueError(f"body {self.name!r}: {field}: expected tracked bodies, found {', '.join(unknown)}")

    @property
    def bodies(self) -> tuple[str, ...]:
        """All names that a model of this body must have."""
        return tuple(dict.fromkeys((*self.tracked, *(body for _, body in self.contacts))))

    def rows(self, names: Sequence[str]) -> tuple[int, ...]:
        """Where bodies stand among the tracked ones."""
        return tuple(self.tracked.index(name) for name in names)

    def unsided(self, name: str) -> str:
        """A name without its side: that of both mirror images."""
        return name.removeprefix(self.sides[0]).removeprefix(self.sides[1])

    def mirrored(self, name: str) -> str:
        """The name on the other side; a middle one stays."""
        return mirrored(name, self.sides)

    def servo(self, joint: str) -> Servo:
        """The servo of a joint of either side."""
        return dict(self.servos).get(self.unsided(joint), Servo())
