"""What every number of a report means: label, unit, one sentence, which direction is better, which axis it belongs to.

A report is driven by what ``Scores`` holds. A name that is missing here is shown under its plain name among the
diagnostics; nothing is dropped.
"""

from __future__ import annotations

import dataclasses

#: Axes in the order they are shown.
AXES = ("kinematic", "contact", "dynamic")

#: Smallest change worth a word, by unit; below it two clips are the same. Capture and fitting are no finer than this.
NOTICEABLE = {
    "": 0.005, "m": 0.001, "rad": 0.005, "m/s": 0.01, "BW": 0.01, "N m": 1.0, "W/kg": 0.05, "J": 1.0, "%": 1.0,
    "× limit": 0.01, "×": 0.05,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One explained number.

    ``unit`` is "" for a score in 0..1. ``better`` is "higher", "lower" or "" (no direction: context, not a verdict).
    ``axis`` is one of ``AXES``, "total" or "" (a diagnostic).
    """

    label: str
    sentence: str
    unit: str = ""
    better: str = ""
    axis: str = ""

    @property
    def is_score(self) -> bool:
        """Whether the number lies in 0..1 and counts towards an axis."""
        return not self.unit and bool(self.better) and bool(self.axis)

    @property
    def noticeable(self) -> float:
        """Smallest change worth a word, in ``unit``."""
        return NOTICEABLE.get(self.unit, 0.0)

    def same(self, x: float, y: float) -> bool:
        """Whether nobody would tell two values apart: less than ``noticeable``, or less than 1 % of the larger one."""
        share = 0.01 * max(abs(x), abs(y)) if self.unit else 0.0
        return not abs(y - x) >= max(self.noticeable, share, 1e-12)


def _score(axis: str, label: str, sentence: str) -> Explanation:
    return Explanation(label, sentence, "", "higher", axis)


def _violation(axis: str, label: str, sentence: str) -> Explanation:
    return Explanation(label, sentence, "", "lower", axis)


_COMMON = {
    "total": _score("total", "Total", "Geometric mean of the three axes: 1 is a motion a human body could have made."),
    "kinematic": _score("kinematic", "Kinematic", "Do the joints turn as human joints can?"),
    "contact": _score("contact", "Contact", "Does the floor carry the body, without sliding, sinking or hovering?"),
    "dynamic": _score("dynamic", "Dynamic", "Are the forces and torques that the motion takes within human reach?"),
}

#: Sub-scores of the feasibility reward: 1 within tolerance, falling with the error behind them (see ``ERRORS``).
FEASIBILITY = {
    "joint_speed": _score("kinematic", "Joint speed", "1 while every joint turns slower than people can turn it."),
    "joint_limit": _score("kinematic", "Joint limits", "1 while every joint stays in its anatomical range."),
    "self_penetration": _score("kinematic", "Self-penetration", "1 while no two body parts overlap."),
    "leap": _score(
        "kinematic", "Leaps", "1 while the body is nowhere from one frame to the next that no force explains."
    ),
    "foot_slip": _score("contact", "Foot slip", "1 while the parts that carry load stay where they are on the floor."),
    "ground_penetration": _score("contact", "Floor penetration", "1 while no part of the body is below the floor."),
    "floating": _score(
        "contact", "Floating", "1 while the floor carries the body or it falls freely; falls when it hangs."
    ),
    "balance": _score(
        "contact", "Balance", "1 while the centre of pressure that the motion needs lies in the support."
    ),
    "torque": _score("dynamic", "Joint torque", "1 while every joint torque is within human strength."),
    "ground_reaction": _score(
        "dynamic", "Ground reaction", "1 while forces a floor can give, of plausible size, explain the whole motion."
    ),
    "power": _score("dynamic", "Power", "1 while the power of all joints together is humanly possible."),
    "flight": _score("dynamic", "Flight", "1 while flights fall as gravity wants; speed and size are then right."),
}


def _error(label: str, unit: str, sentence: str) -> Explanation:
    return Explanation(label, sentence, unit, "lower")


#: The errors that the feasibility reward judges, in their units.
ERRORS = {
    "joint_speed_excess": _error("Speed excess", "× limit", "Angular speed beyond the limit, summed over joints."),
    "joint_limit_rad": _error("Angle excess", "rad", "Angle beyond the anatomical range, summed over joints."),
    "self_penetration_m": _error("Overlap", "m", "Depth by which body parts overlap, summed over pairs of parts."),
    "leap_m": _error("Leap", "m", "Step of the centre of mass beyond what five body weights explain."),
    "foot_slip_m_per_s": _error(
        "Slip speed", "m/s", "Speed over the floor of the points in contact, weighted by load."
    ),
    "ground_penetration_m": _error("Depth below floor", "m", "Depth of the lowest point of the body below the floor."),
    "floating_bw": _error(
        "Unsupported force",
        "BW",
        "Force the motion needs and no contact gives. 0 while the body falls freely: then nothing has to touch.",
    ),
    "balance_m": _error(
        "Pressure offset",
        "m",
        "How far outside the support the needed centre of pressure lies (unexplained moment / weight).",
    ),
    "torque_excess": _error("Torque excess", "× limit", "Torque beyond human strength, summed over joints."),
    "ground_reaction_bw": _error(
        "Unexplained reaction",
        "BW",
        "Force and moment that no push of the floor explains, and what exceeds the largest plausible force.",
    ),
    "flight_times": _error(
        "Speed by gravity", "×", "Times too fast or too slow that flights show, less one; certain by two deviations."
    ),
    "power_w_per_kg": Explanation(
        "Joint power", "Positive mechanical power of all joints per kilogram of body.", "W/kg"
    ),
}

#: Terms of the published reward.
PHYMOTION = {
    "v1_limb_length": _violation(
        "kinematic", "Limb length violation", "Spread over time of the lengths of left limbs."
    ),
    "v1_velocity": _violation("kinematic", "Speed violation", "Share of frames in which a joint moves above 5 m/s."),
    "v1_jitter": _violation(
        "kinematic", "Jitter violation", "Mean acceleration of joints, in the world plus about the root."
    ),
    "v1_self_collision": _violation(
        "kinematic", "Collision violation", "Share of colliding mesh faces; 0 without a mesh."
    ),
    "v_slip": _violation("contact", "Slip violation", "Distance feet slide while in contact; 0 is none, 1 is 5 cm."),
    "v_pen": _violation("contact", "Penetration violation", "Depth of foot origins below the clip's lowest one."),
    "v_float": _violation(
        "contact", "Float violation", "Share of frames whose ratio of foot to root speed lies outside 0.6 to 1.75."
    ),
    "v_bal": _violation(
        "contact", "Balance violation", "Distance of the centre of mass to the feet in contact; 1 is 0.5 m or more."
    ),
    "s_tau": _score("dynamic", "Torque score", "Share of joint hinges and frames within the torque limits."),
    "s_grf": _score("dynamic", "Ground force score", "Share of frames within 3 body weights up and 0.5 sideways."),
    "v_grf_vert": _violation(
        "dynamic", "Vertical force violation", "Share of frames with more than 3 body weights up."
    ),
    "v_grf_horiz": _violation(
        "dynamic", "Side force violation", "Share of frames with over 0.5 body weights sideways."
    ),
    "s_met": _score("dynamic", "Metabolic score", "1 minus the clip's joint work over 10 kJ."),
    "s_bal": _score("dynamic", "Balance score", "1 minus the balance violation."),
    "MET": Explanation("Joint work", "Absolute work of all hinges over the whole clip.", "J", "lower", "dynamic"),
    "overall": Explanation(
        "Older total", "The released code's older score, on joint positions alone; not part of the total."
    ),
    "v1_contact": Explanation("Older contact", "Contact axis of the older score; not part of the total."),
    "v1_dynamic": Explanation("Older dynamic", "Dynamic axis of the older score; not part of the total."),
    "feet_in_contact": Explanation("Feet in contact", "Foot bodies below 2 cm and slower than 5 cm/s, of four."),
    "support_distance": Explanation("Support distance", "Distance of the centre of mass to the feet in contact.", "m"),
    "root_force_vertical": Explanation("Vertical root force", "External force the motion needs, upward part.", "BW"),
    "root_force_horizontal": Explanation(
        "Horizontal root force", "External force the motion needs, sideways part.", "BW"
    ),
    "v1_max_joint_speed": Explanation("Fastest joint", "Speed of the fastest joint.", "m/s"),
}

GLOSSARY: dict[str, Explanation] = {**_COMMON, **FEASIBILITY, **ERRORS, **PHYMOTION}

#: Quantities of ``Dynamics`` and of the page itself that are no scores.
QUANTITIES: dict[str, Explanation] = {
    "torque_share": Explanation(
        "Torque / limit",
        "Largest ratio of a joint's torque to the human limit in that direction; above 100 % nobody is that strong.",
        "%",
        "lower",
    ),
    "grf": Explanation(
        "Ground reaction",
        "Force the floor puts on this body part: the area is the vertical part, the line the horizontal part.",
        "BW",
    ),
    "residual_torque": Explanation(
        "Unexplained moment", "Part of the external moment that no contact with the floor can supply.", "N m", "lower"
    ),
    "reprojection_px": Explanation(
        "Off the pixels",
        "Median distance in the picture between the body's points and where the detector saw them.",
        "px",
        "lower",
    ),
    "from_estimate_mm": Explanation(
        "From the estimate", "Mean distance of the simulated bodies from those of the whole-clip fit.", "mm", "lower"
    ),
    "external_support": Explanation(
        "Missing support",
        "Share of body weight that has to be held up where no floor is: a chair, a step, a hand.",
        "BW",
        "lower",
    ),
}

#: What can carry the body in a frame, from fine to worst (see ``mjxhuman.report.carriers``).
CARRIERS: dict[str, Explanation] = {
    "carried": Explanation("Carried by the floor", "What touches the floor explains the force the motion needs."),
    "falling": Explanation("In free fall", "Nothing touches and the body falls freely: fine, no force is missing."),
    "unexplained": Explanation(
        "Touches, not explained",
        "The body touches the floor, but no push of the floor gives the force it needs.",
    ),
    "nowhere": Explanation(
        "Held where no floor is",
        "The motion needs a force where there is no floor: a chair, a step, a hand, or it hovers.",
    ),
}


def entry(name: str) -> Explanation:
    """The entry of a term, axis, diagnostic or quantity; a plain one for a name that has none."""
    known = GLOSSARY.get(name) or QUANTITIES.get(name)
    return known or Explanation(label=name.replace("_", " "), sentence="")


def order_terms(names: list[str] | tuple[str, ...]) -> list[str]:
    """Known terms by axis in glossary order, then the others in the order given."""
    known = [name for name in GLOSSARY if name in names]
    ranks = {axis: i for i, axis in enumerate(("total", *AXES, ""))}
    return sorted(known, key=lambda name: ranks[GLOSSARY[name].axis]) + [name for name in names if name not in known]
