"""Names of the points that 2D pose estimators find, one spelling for all of them.

Sided points start with ``L`` or ``R`` (``LKnee``), as OpenPose writes them. ``canonical_name`` reads the other
spellings (``left_knee``, ``knee_l``); ``LAYOUTS`` holds the orders of the usual detectors, whose files carry no names.
"""

from __future__ import annotations

import re


def _sides(*names: str) -> tuple[str, ...]:
    """Left and right of each name, in turns."""
    return tuple(side + name for name in names for side in "LR")


_COCO = ("Nose", *_sides("Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"))
_FEET = ("LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel")
_FINGERS = tuple(
    f"{finger}{joint}" for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky") for joint in range(1, 5)
)
_HANDS = tuple(f"{side}Hand{point}" for side in "LR" for point in ("Root", *_FINGERS))

#: Layout -> names in the order of its files. "UpperNeck" is the nape below the skull (MPII's neck), "MidShoulder" the
#: point between the shoulders that OpenPose and Halpe call neck, "HeadTop" the crown.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "coco_17": _COCO,
    "coco_wholebody": (*_COCO, *_FEET, *(f"Face{i}" for i in range(68)), *_HANDS),
    "body_25": (
        "Nose", "MidShoulder", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip", "RHip",
        "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar", *_FEET,
    ),
    "body_25b": (*_COCO, "UpperNeck", "HeadTop", *_FEET),
    "halpe_26": (*_COCO, "HeadTop", "MidShoulder", "MidHip", *_sides("BigToe", "SmallToe", "Heel")),
    "blazepose": (
        "Nose", "LEyeInner", "LEye", "LEyeOuter", "REyeInner", "REye", "REyeOuter", "LEar", "REar", "LMouth", "RMouth",
        *_sides("Shoulder", "Elbow", "Wrist", "Pinky", "Index", "Thumb", "Hip", "Knee", "Ankle", "Heel", "FootIndex"),
    ),
}  # fmt: skip

_SIDE = re.compile(
    r"^(?:(?P<start>left|right|[lr](?=[ ._-]))[ ._-]?(?P<rest>.+)|(?P<word>.+?)[ ._-](?P<end>left|right|[lr]))$", re.I
)
_BARE = {
    "bigtoe": "BigToe", "smalltoe": "SmallToe", "footindex": "FootIndex", "eyeinner": "EyeInner",
    "eyeouter": "EyeOuter",
    "headtop": "HeadTop", "tophead": "HeadTop", "topofhead": "HeadTop", "upperneck": "UpperNeck", "midhip": "MidHip",
    "midshoulder": "MidShoulder", "pinkyknuckle": "Pinky", "indexknuckle": "Index", "thumbknuckle": "Thumb",
}  # fmt: skip
_KNOWN = {name.lower() for names in LAYOUTS.values() for name in names}


def canonical_name(name: str) -> str:
    """``LKnee`` for ``left_knee``, ``knee_l``, ``L_Knee``, ``lknee``; other names in capitals (``nose`` -> ``Nose``).

    Examples:
      >>> canonical_name("left_foot_index"), canonical_name("RBigToe"), canonical_name("nose")
      ('LFootIndex', 'RBigToe', 'Nose')
    """
    name = name.strip()
    match = _SIDE.match(name)
    if match is not None:
        side = (match["start"] or match["end"])[0].upper()
        return side + _capitals(match["rest"] or match["word"])
    if name.lower() in _KNOWN and name[:1] in "lr":
        return name[0].upper() + _capitals(name[1:])
    return _capitals(name)


def _capitals(name: str) -> str:
    squeezed = re.sub(r"[ ._-]", "", name)
    if squeezed.lower() in _BARE:
        return _BARE[squeezed.lower()]
    words = [word.lower() if word.isupper() else word for word in re.split(r"[ ._-]+", name) if word]
    return "".join(word[0].upper() + word[1:] for word in words)


def mirrored_name(name: str) -> str:
    """The canonical name of the point on the other side; the same for one in the middle."""
    if len(name) > 1 and name[0] in "LR" and name[1].isupper():
        return ("R" if name[0] == "L" else "L") + name[1:]
    return name


def layout_of(count: int, layout: str | None = None) -> tuple[str, ...]:
    """Names of a file's points.

    Args:
      count: points per person. layout: key of ``LAYOUTS``; by default the count decides where one layout has it.

    Raises:
      ValueError: an unknown layout, or a count that does not settle or fit it.
    """
    if layout is not None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {', '.join(LAYOUTS)}, found {layout!r}")
        if len(LAYOUTS[layout]) != count:
            raise ValueError(f"layout {layout}: expected {len(LAYOUTS[layout])} points per person, found {count}")
        return LAYOUTS[layout]
    fitting = [key for key, names in LAYOUTS.items() if len(names) == count]
    if len(fitting) != 1:
        sizes = ", ".join(f"{key} ({len(names)})" for key, names in LAYOUTS.items())
        found = " and ".join(fitting) or "no known layout"
        raise ValueError(f"{count} points per person fit {found}; expected layout=, one of {sizes}")
    return LAYOUTS[fitting[0]]
