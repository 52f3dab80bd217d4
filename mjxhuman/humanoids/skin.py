"""What the built-in body looks like: rounded shapes that are drawn and touch nothing.

The colliding volumes are thinner than flesh and leave gaps at the joints; they go to geom group 3, which viewers hide
by default, and these take their place in group 1. They have no part in mass, scores and contact with the floor;
furniture touches what they show (``flesh.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from mjxhuman.humanoids.geometry import Primitive, add_primitive
from mjxhuman.humanoids.proportions import DEFAULT_STATURE, MIRROR, Proportions
from mjxhuman.humanoids.record import mirrored

#: Geom groups: what is drawn, and what collides.
SKIN_GROUP, COLLISION_GROUP = 1, 3

#: A thigh's thickness at the joint, half way and at the knee: share of the bone, radius in m at ``DEFAULT_STATURE``. A
#: few per cent under the circumferences of adults at the fold and above the knee (0.59 and 0.40 m; ANSUR, means of
#: women and men) and their mean, over two pi, flesh being soft.
THIGH = ((0.0, 0.085), (0.5, 0.075), (1.0, 0.061))

# along a bone: (child joint, thickness as a thigh's)
_BONES = {
    "Neck": ("Head", ((1.0, 0.050),)), "L_Thorax": ("L_Shoulder", ((1.0, 0.056),)),
    "L_Shoulder": ("L_Elbow", ((1.0, 0.044),)), "L_Elbow": ("L_Wrist", ((1.0, 0.035),)),
    "L_Hip": ("L_Knee", THIGH), "L_Knee": ("L_Ankle", ((1.0, 0.048),)),
}  # fmt: skip

# ellipsoids: (centre, half sizes), m at DEFAULT_STATURE
_ELLIPSOIDS = {
    "Pelvis": ((0.0, -0.025, -0.008), (0.152, 0.105, 0.108)), "Torso": ((0.0, 0.050, 0.004), (0.138, 0.120, 0.098)),
    "Spine": ((0.0, 0.010, 0.008), (0.145, 0.115, 0.102)), "Chest": ((0.0, 0.065, -0.016), (0.160, 0.155, 0.110)),
    "Head": ((0.0, 0.0801, 0.008), (0.076, 0.118, 0.096)), "L_Wrist": ((0.044, -0.003, -0.006), (0.056, 0.018, 0.042)),
    "L_Hand": ((0.038, -0.002, -0.006), (0.060, 0.014, 0.038)),
}  # fmt: skip

_NOSE = ((0.0, 0.062, 0.100), (0.013, 0.022, 0.018))


def material(body: str) -> str:
    """Name of the material of a body: "left", "right", "head" or "trunk"."""
    return {"L_": "left", "R_": "right"}.get(body[:2], "head" if body in ("Neck", "Head") else "trunk")


def along(thickness: Sequence[tuple[float, float]], end: np.ndarray, size: float) -> list[Primitive]:
    """Capsules of a limb from the body's origin to its bone's ``end`` (3,), m; radii times ``size``.

    Each is as thick as where it ends, and begins where the one before ends.
    """
    shares = [0.0, *(share for share, _ in thickness)]
    pairs = zip(shares, thickness, strict=False)
    return [Primitive(np.array([start * end, stop * end]), radius * size) for start, (stop, radius) in pairs]


def add_skin(nodes: dict[str, mujoco.MjsBody], shape: Proportions) -> None:
    """Add the drawn shapes to the bodies of a model description, geoms ``<body>_skin``."""
    size = shape.stature / DEFAULT_STATURE
    for body, node in nodes.items():
        left = mirrored(body) if body.startswith("R_") else body
        flip = MIRROR if body.startswith("R_") else np.ones(3)
        common = {
            "name": f"{body}_skin", "material": material(body), "contype": 0, "conaffinity": 0, "group": SKIN_GROUP,
        }  # fmt: skip
        if left in _BONES:
            child, parts = _BONES[left]
            for number, capsule in enumerate(along(parts, shape.offsets[child] * flip, size)):
                add_primitive(node, capsule, **common | {"name": f"{body}_skin{number or ''}"})
        elif left in _ELLIPSOIDS:
            centre, half = (np.array(x) * size for x in _ELLIPSOIDS[left])
            if body == "Head":
                centre[1] = shape.crown - shape.position("Head")[1] - half[1]
            node.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=centre * flip, size=half, **common)
        else:
            box = shape.volumes[body]
            assert box.half is not None
            node.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.centre, size=box.half, **common)
    centre, half = (np.array(x) * size for x in _NOSE)
    nose = common | {"name": "nose_skin", "material": "head"}
    nodes["Head"].add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=centre, size=half, **nose)
