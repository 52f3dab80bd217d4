"""A humanoid's anatomy split for the compiler: static topology, and numbers as arrays with the frame axis last.

As with ``Tree`` and ``BodyParams``: bodies that differ in size alone share every compiled program.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.humanoids.contacts import furniture_points
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.types import Array

#: Stands for an infinite limit (the world, the root), so that quotients and their derivatives stay finite.
UNLIMITED = 1e6


@dataclasses.dataclass(frozen=True)
class Contacts:
    """Hashable topology of what contact forces need: which bodies carry contact points."""

    contact_bodies: tuple[int, ...]  # (P,)
    contact_groups: tuple[int, ...]  # (P,)
    group_names: tuple[str, ...]  # (F,)
    furniture: bool = dataclasses.field(default=False, kw_only=True)  # the points that rest on furniture are among them

    @property
    def flesh(self) -> tuple[bool, ...] | None:
        """Which points yield when pressed against furniture: all but the feet's; None without furniture."""
        return tuple(group not in (0, 1) for group in self.contact_groups) if self.furniture else None


@dataclasses.dataclass(frozen=True)
class Anatomy(Contacts):
    """And of what feasibility needs: which bodies carry capsules and clinical joints."""

    capsule_bodies: tuple[int, ...]  # (C,)
    pairs: tuple[tuple[int, int], ...]  # (Q,)
    proximal: tuple[int, ...]  # (K,)
    distal: tuple[int, ...]  # (K,)
    orders: tuple[str, ...]  # (K,) decompositions, see ``mjxhuman.math.clinical``
    turned: bool  # the body frames are not SMPL's


@struct.dataclass
class ContactParams:
    """The numbers of contacts, frame axis last (length 1)."""

    point_offset: Float[Array, "P 3 1"]  # m, body frame
    point_radius: Float[Array, "P 1"]  # m


@struct.dataclass
class AnatomyParams(ContactParams):
    """The numbers of an anatomy, frame axis last (length 1)."""

    capsule_ends: Float[Array, "2 C 3 1"]  # m, body frame
    capsule_radius: Float[Array, "C 1"]  # m
    pair_overlap: Float[Array, "Q 1"]  # m
    smpl_frame: Float[Array, "4 1"]  # wxyz, q_body = q_smpl * smpl_frame
    range_low: Float[Array, "K 3 1"]  # rad
    range_high: Float[Array, "K 3 1"]  # rad
    torque_low: Float[Array, "B 3 1"]  # N m, negative
    torque_high: Float[Array, "B 3 1"]  # N m
    speed_limit: Float[Array, "B 1"]  # rad/s


@functools.lru_cache(maxsize=256)
def make_contacts(
    humanoid: Humanoid, dtype: Any = np.float32, furniture: bool = False
) -> tuple[Contacts, ContactParams]:
    """Split the contact points of a humanoid, which is all that forces need; those for furniture too if asked.

    Raises:
      ValueError: it has none: its body is not in the registry.
    """
    if humanoid.contacts is None:
        raise ValueError(
            f"humanoid {humanoid.name!r}: contact forces need contact points, which bodies of the registry have "
            "(humanoids.registry.register)"
        )
    topology, numbers = _split(humanoid, dtype, furniture)
    return Contacts(**topology), ContactParams(**numbers)


def _split(humanoid: Humanoid, dtype: Any, furniture: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of ``Contacts`` and of ``ContactParams``."""
    points = furniture_points(humanoid) if furniture else humanoid.contacts
    assert points is not None
    topology = {
        "furniture": furniture,
        "contact_bodies": tuple(int(b) for b in points.body_id),
        "contact_groups": tuple(int(g) for g in points.group),
        "group_names": tuple(points.group_names),
    }
    numbers = {"point_offset": points.offset, "point_radius": points.radius}
    return topology, {name: np.asarray(x, dtype)[..., None] for name, x in numbers.items()}


@functools.lru_cache(maxsize=256)
def make_anatomy(humanoid: Humanoid, dtype: Any = np.float32, furniture: bool = False) -> tuple[Anatomy, AnatomyParams]:
    """Split the anatomy tables of a humanoid; with the contact points for furniture if asked.

    Raises:
      ValueError: the model is not of SMPL topology and has no anatomy.
    """
    h = humanoid
    contacts, capsules, ranges = h.contacts, h.capsules, h.range_of_motion
    torque, speed, frame = h.torque_limit, h.speed_limit, h.smpl_frame
    if contacts is None or capsules is None or ranges is None or torque is None or speed is None or frame is None:
        raise ValueError(
            f"humanoid {h.name!r}: feasibility needs contact points, capsules, joint ranges and torque limits, "
            "which only bodies of SMPL topology have"
        )
    topology, points = _split(h, dtype, furniture)
    anatomy = Anatomy(
        **topology,
        capsule_bodies=tuple(int(b) for b in capsules.body_id),
        pairs=tuple((int(a), int(b)) for a, b in capsules.pairs),
        proximal=tuple(int(b) for b in ranges.proximal),
        distal=tuple(int(b) for b in ranges.distal),
        orders=tuple(ranges.order),
        turned=not np.allclose(np.abs(frame), [1, 0, 0, 0], atol=1e-9),
    )

    def column(x: Any) -> np.ndarray:
        return np.asarray(x, dtype)[..., None]

    params = AnatomyParams(
        **points,
        capsule_ends=column(np.moveaxis(capsules.ends, 1, 0)),
        capsule_radius=column(capsules.radius),
        pair_overlap=column(capsules.rest_overlap),
        smpl_frame=column(frame),
        range_low=column(ranges.low),
        range_high=column(ranges.high),
        torque_low=column(np.maximum(torque[..., 0], -UNLIMITED)),
        torque_high=column(np.minimum(torque[..., 1], UNLIMITED)),
        speed_limit=column(np.minimum(speed, UNLIMITED)),
    )
    return anatomy, params
