"""Room for contacts and constraint rows: what MuJoCo Warp has to be told before it knows what will touch."""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco
import numpy as np

from mjxhuman.humanoids.geometry import contact_pairs

_G = mujoco.mjtGeom

#: Contacts of a pair of geoms that touch with a face or an edge, at most; 1 where one of them is round.
_CONTACTS = {
    frozenset((_G.mjGEOM_PLANE, _G.mjGEOM_CAPSULE)): 2,
    frozenset((_G.mjGEOM_PLANE, _G.mjGEOM_CYLINDER)): 4,
    frozenset((_G.mjGEOM_PLANE, _G.mjGEOM_BOX)): 4,
    frozenset((_G.mjGEOM_PLANE, _G.mjGEOM_MESH)): 4,
    frozenset((_G.mjGEOM_CAPSULE,)): 1,
    frozenset((_G.mjGEOM_CAPSULE, _G.mjGEOM_BOX)): 2,
    frozenset((_G.mjGEOM_BOX,)): 8,
}
#: Contacts of a humanoid that stands on the soles of both feet.
STANDING = 12

_ROUND = {_G.mjGEOM_SPHERE, _G.mjGEOM_ELLIPSOID}
_OTHERS = 4


class Room(NamedTuple):
    """Per environment."""

    mean: int  # contacts, on average over the environments
    most: int  # contacts of any single one
    rows: int  # constraint rows of any single one


def contact_room(model: mujoco.MjModel) -> Room:
    """Room for the pairs of a model, by what can touch at once.

    A geom touches one thing at a time, with as many contacts as the two shapes can have: thirty spheres of a body and
    the forty boxes of its furniture are 1200 pairs and thirty contacts. Two geoms of one body share theirs. A rigid
    object rests on all of its contacts; an articulated body, which cannot lie on its front and its back, on half of
    them on average, or on the dozen that two standing feet take. Of 60 humanoids at rest after a fall none had more
    than 7 contacts; the room is 20 on average and 40 for one.
    """
    tree = model.body_rootid[model.geom_bodyid]
    moving = model.body_weldid[model.geom_bodyid] > 0
    touching = np.zeros(model.ngeom)
    for a, b in contact_pairs(model):
        share = _contacts(model, a, b) / (2 if tree[a] == tree[b] else 1)
        for geom in (a, b):
            if moving[geom]:
                touching[geom] = max(touching[geom], share)
    articulated = np.bincount(model.body_rootid, minlength=model.nbody)[tree] > 1
    most = math.ceil(touching.sum())
    body = touching[articulated].sum()
    mean = math.ceil(touching[~articulated].sum() + max(body / 2, min(body, STANDING)))
    dim = int(model.pair_dim.max(initial=1))
    pyramid = model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL and dim > 1
    rows = most * (2 * (dim - 1) if pyramid else dim)
    limits = int(np.sum(model.jnt_limited)) + int(np.sum(model.dof_frictionloss > 0))
    return Room(mean, most, rows + limits + 6 * model.neq)


def _contacts(model: mujoco.MjModel, a: int, b: int) -> int:
    kinds = frozenset((_G(model.geom_type[a]), _G(model.geom_type[b])))
    return 1 if kinds & _ROUND else _CONTACTS.get(kinds, _OTHERS)
