"""Room for contacts, by arithmetic: it grows with what can touch at once, not with the number of pairs."""

from __future__ import annotations

import mujoco
import pytest

from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.engines.room import Room, contact_room


def pair(spec: mujoco.MjSpec, a: str, b: str) -> None:
    spec.add_pair(geomname1=a, geomname2=b, condim=3)


def add_box(spec: mujoco.MjSpec) -> None:
    """A free box that rests on the floor."""
    box = spec.worldbody.add_body(name="box")
    box.add_freejoint()
    box.add_geom(name="box", type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.2, 0.2, 0.2))
    pair(spec, "floor", "box")


def add_chair(spec: mujoco.MjSpec) -> None:
    """Six fixed boxes that every sphere of the body may touch, as it may the floor."""
    spheres = [p.geomname2 for p in spec.pairs if p.geomname1 == "floor"]
    for i in range(6):
        spec.worldbody.add_geom(name=f"chair{i}", type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.1, 0.1, 0.1))
        for sphere in spheres:
            pair(spec, f"chair{i}", sphere)


def add_ball(spec: mujoco.MjSpec, masks: bool):
    body = spec.worldbody.add_body(name="ball", pos=(1, 0, 1))
    body.add_freejoint()
    body.add_geom(name="ball", size=(0.1, 0, 0), contype=0, conaffinity=int(masks))
    geom = spec.geom("Head_skin")
    if masks:
        geom.contype = 1
    else:
        spec.add_pair(geomname1=geom.name, geomname2="ball", condim=3)


@pytest.mark.parametrize(
    ("contacts", "self_contacts", "room"),
    [
        ("full", True, Room(20, 40, 160)),  # 31 spheres, and half of 17 capsules that touch each other
        ("full", False, Room(16, 31, 124)),
        ("feet", True, Room(12, 21, 84)),  # two standing feet have room for all twelve
        ("feet", False, Room(12, 12, 48)),
    ],
)
def test_the_humanoid(humanoid, contacts, self_contacts, room):
    assert contact_room(actuated_humanoid(humanoid, contacts, self_contacts).model) == room


def test_a_scene(humanoid):
    """A box adds the four contacts it rests on; a chair of 186 pairs adds none, as a sphere touches one thing."""
    box, chair = (actuated_humanoid(humanoid, scene=scene).model for scene in (add_box, add_chair))
    assert contact_room(box) == Room(24, 44, 176)
    assert chair.npair == 66 + 186
    assert contact_room(chair) == Room(20, 40, 160)


def test_what_touches_by_masks_counts_as_pairs_do(humanoid):
    by_mask = actuated_humanoid(humanoid, scene=lambda spec: add_ball(spec, masks=True)).model
    by_pair = actuated_humanoid(humanoid, scene=lambda spec: add_ball(spec, masks=False)).model
    assert by_mask.npair == by_pair.npair - 1
    assert contact_room(by_mask) == contact_room(by_pair) != contact_room(actuated_humanoid(humanoid).model)


def test_limits_and_equalities_take_rows():
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><option cone="elliptic"/>
          <worldbody><geom name="floor" type="plane" size="1 1 1"/>
            <body name="a"><freejoint/><geom name="a" size="0.1"/>
              <body name="b"><joint range="-1 1" limited="true" frictionloss="1"/><geom name="b" size="0.1"/></body>
            </body>
          </worldbody>
          <equality><weld body1="a"/></equality>
          <contact><pair geom1="floor" geom2="a"/><pair geom1="floor" geom2="b"/></contact>
        </mujoco>""")
    assert contact_room(model) == Room(2, 2, 2 * 3 + 2 + 6)
