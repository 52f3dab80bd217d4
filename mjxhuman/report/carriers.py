"""What carries the body in every frame, in words.

A force that the motion needs and no contact gives is one of two things: the body touches the floor and the floor cannot
give it, or it is needed where no floor is. A body that nothing touches and that falls freely misses nothing.
"""

from __future__ import annotations

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.physics.contact import LENGTH
from mjxhuman.physics.contact_points import REACH, SINK
from mjxhuman.report.glossary import CARRIERS
from mjxhuman.rewards.feasibility import Config
from mjxhuman.scenes.surface import Surface, measure
from mjxhuman.types import Dynamics, Motion

#: Body weights; less than this is no load.
_LOAD = 0.05
#: Share of the missing force that points up where support, and not some push, is missing.
_UPWARD = 0.7


def clearance(humanoid: Humanoid, body_pos: np.ndarray, body_quat: np.ndarray, surface: Surface | None) -> np.ndarray:
    """Distance (T,) m from the surface of the contact point nearest to it, of poses (T, B, 3) m, (T, B, 4) wxyz."""
    contacts = humanoid.contacts
    assert contacts is not None
    offset = quaternion.rotate(body_quat[:, contacts.body_id], contacts.offset)
    distance = measure(surface, body_pos[:, contacts.body_id] + offset).distance
    return (distance - contacts.radius).min(axis=1)


def carriers(motion: Motion, dynamics: Dynamics, surface: Surface | None = None) -> np.ndarray:
    """What carries the body, (T,) indices into ``glossary.CARRIERS``, of an unbatched motion with contact points.

    A force counts as missing beyond what the score of the ground reaction accepts. Where the body touches and the force
    that is missing points up, it is support in a place without a floor, unless the body is inside the floor.
    ``surface`` is the one of ``analyse``; default the level floor z = 0.
    """
    humanoid = motion.humanoid
    pos, quat = np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float)
    residual, weight = np.asarray(dynamics.residual, float), humanoid.weight
    force = residual[:, :3] / weight
    moment = residual[:, 3:] / weight - np.cross(np.asarray(dynamics.com, float) - pos[:, 1], force)
    missing = np.sqrt(np.sum(force**2, -1) + np.sum(moment**2, -1) / LENGTH**2) > Config().ground_reaction.accept
    load = np.sum(np.asarray(dynamics.grf, float) @ humanoid.up, axis=-1) / weight
    distance = clearance(humanoid, pos, quat, surface)
    upward = force @ humanoid.up > np.maximum(_LOAD, _UPWARD * np.linalg.norm(force, axis=-1))
    nowhere = (distance > REACH) | (upward & (distance > -SINK))
    names = list(CARRIERS)
    return np.select(
        [~missing & (load > _LOAD), ~missing, ~nowhere], [names.index(n) for n in names[:3]], names.index("nowhere")
    )
