"""What of a body furniture meets: capsules as thick as it is drawn.

Alignment lets the drawn body touch and the simulator lets these carry, so who is aligned to sit on a seat neither hangs
over it nor starts in it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import mujoco
import numpy as np

from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.contacts import SURFACE_RADIUS
from mjxhuman.humanoids.geometry import Primitive
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.proportions import DEFAULT_STATURE
from mjxhuman.humanoids.skin import SKIN_GROUP, THIGH, along

#: Bodies, without side, that furniture meets as capsules; feet and head touch it with their contact points. A limb's
#: begin in its joint, where the colliding volumes leave a gap: people sit on what lies below their hip joints.
LIMBS = ("Hip", "Knee", "Shoulder", "Elbow")
TOUCHING = ("Pelvis", "Torso", "Chest", *LIMBS, "Wrist", "Hand")


class Flesh(NamedTuple):
    """One capsule, or a sphere where its ends agree."""

    body: int  # MuJoCo body id in the humanoid's own model
    ends: np.ndarray  # (2, 3) m, body frame
    radius: float  # m


@functools.lru_cache(maxsize=256)
def flesh_of(humanoid: Humanoid) -> tuple[Flesh, ...]:
    """The capsules of a body of SMPL's topology, those of one body together; of others none.

    Limbs are as they are drawn. In an ellipsoid lies the capsule of its least half size, drawn out by half of what the
    ellipsoid is longer: its flat sides agree, and nowhere is it more than 3 mm outside. A model that draws none has its
    colliding volumes, not thinner than ``SURFACE_RADIUS``, and thighs of the built-in body's thickness.
    """
    if not humanoid.is_smpl:
        return ()
    names = [name for name in humanoid.body_names[1:] if humanoid.known.unsided(name) in TOUCHING]
    bodies = [humanoid.body_names.index(name) for name in names]
    found = zip(bodies, names, strict=True)
    return tuple(Flesh(body, *shape) for body, name in found for shape in _shapes(humanoid, body, name))


def _shapes(humanoid: Humanoid, body: int, name: str) -> list[Primitive]:
    model, kind, size = humanoid.model, humanoid.known.unsided(name), humanoid.stature / DEFAULT_STATURE
    own = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_group[g] == SKIN_GROUP]
    if drawn := [g for g in own if not model.geom_contype[g] and not model.geom_conaffinity[g]]:
        return [_inside(model, g) for g in drawn]
    if kind == "Hip":
        return along(THIGH, model.body_pos[humanoid.body_names.index(f"{name[0]}_Knee")], size)
    ends, radius = geometry.inner_capsule(model, geometry.collision_geom(model, body))
    start = np.zeros(3) if kind in LIMBS else ends[0]
    return [Primitive(np.array([start, ends[1]]), max(radius, SURFACE_RADIUS.get(name, 0.0) * size))]


def _inside(model: mujoco.MjModel, geom: int) -> Primitive:
    ends, radius = geometry.inner_capsule(model, geom)
    pull = 0.5 if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_ELLIPSOID else 1.0
    return Primitive(ends.mean(0) + pull * (ends - ends.mean(0)), radius)
