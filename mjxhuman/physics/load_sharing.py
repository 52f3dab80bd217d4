"""Loads that motion does not tell: what two places push against each other, as people push.

A contact solve (``contact.solve``) finds forces that explain a motion, one answer of many: two opposite forces along
the line between two places change neither the sum of the forces nor that of the moments. Which of these answers people
give is known from measurements, of the feet of people who walk and of those who sit. Forces in body weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.physics import contact, dynamics
from mjxhuman.physics.anatomy import Contacts
from mjxhuman.physics.arrays import across_square, along
from mjxhuman.physics.contact_points import Bearing, BodyKinematics, Touch
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.types import Array

#: Metres above the centre of mass where the lines of the feet's forces meet in double support; between 0.1 and 0.4 m
#: the moments of hip, knee and ankle of a walk keep their correlation with inverse dynamics to 0.05.
MEETING = 0.2
#: Distance of the feet in metres, squared, below which they have no line between them along which to push.
FEET_TOGETHER = 0.05**2
#: Newton steps for that push: one is exact on level ground.
PUSH_STEPS = 3
#: Body weights that stand for nothing, so that quotients stay finite.
TINY = 1e-6


def oppose_feet(
    anatomy: Contacts,
    touch: Touch,
    force: Float[Array, "P 3 N"],
    com: Float[Array, "3 N"],
    up: Float[Array, "3 1"] | None,
) -> Float[Array, "P 3 N"]:
    """The same forces with the feet pushing against each other as people's do.

    Two opposite forces along the line between the feet's centres of pressure change neither the sum of the forces nor
    that of the moments, so motion does not tell them. Of all values that one is taken with which the lines of force of
    both feet, seen across the line between them, meet ``MEETING`` above the centre of mass: ground reactions of walking
    people pass near a point above it (Maus et al. 2010, Nature Communications 1:70), and to assume so improves what is
    predicted of walks, lunges and squats (Wagner et al. 2024, Frontiers in Bioengineering and Biotechnology 12). One
    foot alone pushes against nothing. Each foot's force stays inside its friction cone.
    """
    feet = [np.array([i for i, g in enumerate(anatomy.contact_groups) if g == side], int) for side in (0, 1)]
    if not all(len(f) for f in feet):
        return force
    loads = [along(force[f], up) for f in feet]
    load = [jnp.maximum(jnp.sum(x, 0), TINY) for x in loads]
    share = [x / total for x, total in zip(loads, load)]
    centre = [jnp.sum(s[:, None] * touch.point[f], 0) for s, f in zip(share, feet)]
    line = centre[0] - centre[1]
    rise = along(line, up)
    sums = [jnp.sum(force[f], 0) for f in feet]
    shear = [jnp.sum(x * line, 0) - along(x, up) * rise for x in sums]
    height = [jnp.maximum(along(com - c, up) + MEETING, contact.LENGTH) for c in centre]
    push = _push(load, shear, height, across_square(line, up), rise)
    change = push * line
    change = change * _room(jnp.stack(sums), jnp.stack([change, -change]), touch.cones.mean(feet, share))
    return force.at[np.concatenate(feet)].add(jnp.concatenate([share[0], -share[1]])[:, None] * change)


def _push(
    load: Sequence[Array], shear: Sequence[Array], height: Sequence[Array], flat: Array, rise: Array
) -> Float[Array, " N"]:
    """Share of the line between two feet by which they push each other for their lines of force to meet.

    The lines of forces with loads n and shears t along a horizontal distance d meet at heights h over their feet where
    d + h_0 t_0 / n_0 = h_1 t_1 / n_1. On level ground that is one linear equation, on a slope a quadratic one, because
    the push then changes the loads too: Newton's method.

    Args:
      load: body weights. shear: of the forces, times the horizontal distance. height: m. flat: its square, m^2.
      rise: m, of the first foot over the second.
    """
    push = jnp.zeros_like(flat)
    for _ in range(PUSH_STEPS):
        n0, n1 = load[0] + push * rise, load[1] - push * rise
        a0, a1 = height[0] * (shear[0] + push * flat), height[1] * (shear[1] - push * flat)
        level = height[0] * n1 + height[1] * n0
        slope = flat * level + rise * (flat * (n1 - n0) - a0 - a1)
        apart = flat * n0 * n1 + a0 * n1 - a1 * n0
        push = push - apart / (jnp.maximum(slope, 0.5 * flat * level) + FEET_TOGETHER * (load[0] + load[1]))
    return push


def _room(force: Float[Array, "P 3 N"], change: Float[Array, "P 3 N"], cones: contact.Cones) -> Float[Array, " N"]:
    """The largest share 0..1 of a change that keeps every one of some forces inside its cone."""
    n, mu2 = cones.normal, cones.friction * cones.friction
    normal, more = along(force, n), along(change, n)
    a = across_square(change, n) - mu2 * more * more
    b = jnp.sum(force * change, 1) - normal * more - mu2 * normal * more
    c = jnp.minimum(across_square(force, n) - mu2 * normal * normal, 0.0)
    root = jnp.sqrt(jnp.maximum(b * b - a * c, 0.0) + TINY * TINY)
    share = (root - b) / jnp.maximum(a, TINY)
    # a change that points into the cone's mirror image leaves the cone as well
    back = jnp.where((a < -TINY) & (more < 0), jnp.clip(-c / jnp.maximum(root + b, TINY), 0.0, 1.0), 1.0)
    return jnp.min(jnp.where(a > TINY, jnp.clip(share, 0.0, 1.0), back), 0)


def spare_effort(
    tree: Tree,
    params: BodyParams,
    anatomy: Contacts,
    state: BodyKinematics,
    wrenches: dynamics.Wrenches,
    touch: Touch,
    bears: Bearing,
    force: Float[Array, "P 3 N"],
    weight: Float[Array, ""],
) -> Float[Array, "P 3 N"]:
    """The same forces with the load shared between the feet and what else rests so that the joints do least.

    Of all opposite forces along the line between the centre of pressure of both feet and that of the rest of the body,
    those are taken that make the sum of the squared joint moments, in body weights times ``contact.LENGTH``, and of the
    prices of the forces least. People share loads among muscles so that a sum of powers of their stresses is least
    (Crowninshield and Brand 1981, J Biomech 14:793); squared moments stand for it where no muscles are modelled. Who
    sits at rest therefore does not press the feet against the floor. Both sides stay inside their friction cones.

    Args:
      wrenches: what the motion of each body takes, N.
      force: body weights. weight: N.
    """
    foot = np.array([group in (0, 1) for group in anatomy.contact_groups])
    sides = [np.flatnonzero(foot), np.flatnonzero(~foot)]
    if not all(len(side) for side in sides):
        return force
    normal = bears.cones.normal
    loads = [jnp.maximum(along(force[i], None if normal is None else normal[i]), 0.0) for i in sides]
    share = [x / jnp.maximum(jnp.sum(x, 0), TINY) for x in loads]
    centre = [jnp.sum(s[:, None] * touch.point[i], 0) for s, i in zip(share, sides, strict=True)]
    line = centre[0] - centre[1]
    both = np.argsort(np.concatenate(sides))
    pair = jnp.concatenate([share[0], -share[1]])[both, None] * line  # of one body weight per metre of the line

    def moments(of: dynamics.Wrenches, f: Array) -> Array:
        loaded = dynamics.less_forces(of, anatomy.contact_bodies, f, touch.point)
        return dynamics.joint_moments(tree, params, state.poses, loaded)[tree.root + 1 :] / contact.LENGTH

    nothing = dynamics.Wrenches(jnp.zeros_like(wrenches.force), jnp.zeros_like(wrenches.torque), wrenches.origin)
    now, more = moments(wrenches, force * weight) / weight, moments(nothing, pair)
    price = bears.price[:, None]
    slope = jnp.sum(now * more, (0, 1)) + jnp.sum(price * force * pair, (0, 1))
    push = -slope / (jnp.sum(more * more, (0, 1)) + jnp.sum(price * pair * pair, (0, 1)) + TINY)
    change = push * line
    sums = jnp.stack([jnp.sum(force[i], 0) for i in sides])
    return force + pair * push * _room(sums, jnp.stack([change, -change]), bears.cones.mean(sides, share))
