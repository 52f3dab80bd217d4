"""URDF: a robot's links as one object, its joints at zero. Format: z up, metres, kilograms."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.source import Source
from mjxhuman.scenes.reading import licences, xml_files
from mjxhuman.scenes.reading.shapes import Contents, Item, Shape, primitive


def is_urdf(source: Source) -> bool:
    """Whether a file describes a robot."""
    return xml_files.root_tag(source) == "robot"


def read_urdf(source: Source) -> Contents:
    """The geometry that is seen, of links that have none that of their collisions.

    Raises:
      MotionFileError: no geometry, a file that is not there, numbers that are none, links in a circle.
    """
    root = xml_files.parse(source)
    links = {link.get("name", ""): link for link in root.findall("link")}
    shapes: list[Shape] = []
    masses: list[float | None] = []
    for name, pose in _poses(source, root, links).items():
        link = links[name]
        seen = link.findall("visual") or link.findall("collision")
        for element in seen:
            placed = pose @ _origin(source, element)
            shapes += [shape.moved(placed) for shape in _geometry(source, element)]
        if seen:
            mass = link.find("inertial/mass")
            masses.append(None if mass is None else float(xml_files.numbers(source, mass, "value", "", 1)[0]))
    if not shapes:
        raise source.error("geometry", "none", "a link with <visual> or <collision>")
    known = [mass for mass in masses if mass is not None]
    total = sum(known) if len(known) == len(masses) else None
    item = Item(root.get("name") or source.path.stem, tuple(shapes), total)
    return Contents((item,), "z", 1.0, licences.in_comments(source))


def _poses(source: Source, root: ET.Element, links: dict[str, ET.Element]) -> dict[str, np.ndarray]:
    """Homogeneous transforms of the links, from the roots of their tree on."""
    joints = []
    for joint in root.findall("joint"):
        ends = [joint.find(end) for end in ("parent", "child")]
        parent, child = ("" if end is None else end.get("link", "") for end in ends)
        for name in (parent, child):
            if name not in links:
                raise source.error(f"joint {joint.get('name', '')!r}", f"no link {name!r}", "one of the links")
        joints.append((parent, child, _origin(source, joint)))
    children = {child for _, child, _ in joints}
    poses = {name: np.eye(4) for name in links if name not in children}
    for _ in joints:
        poses |= {child: poses[parent] @ origin for parent, child, origin in joints if parent in poses}
        if len(poses) == len(links):
            return poses
    if len(poses) < len(links):
        raise source.error("joints", "links in a circle", "a tree")
    return poses


def _origin(source: Source, element: ET.Element) -> np.ndarray:
    transform = np.eye(4)
    origin = element.find("origin")
    if origin is not None:
        transform[:3, :3] = Rotation.from_euler("xyz", xml_files.numbers(source, origin, "rpy", "0 0 0", 3)).as_matrix()
        transform[:3, 3] = xml_files.numbers(source, origin, "xyz", "0 0 0", 3)
    return transform


def _geometry(source: Source, element: ET.Element) -> list[Shape]:
    geometry = element.find("geometry")
    found = None if geometry is None or not len(geometry) else geometry[0]
    if found is None:
        raise source.error(f"<{element.tag}>", "no geometry", "a box, cylinder, sphere or mesh")
    if found.tag == "mesh":
        scale = np.diag([*xml_files.numbers(source, found, "scale", "1 1 1", 3), 1.0])
        return [shape.moved(scale) for shape in xml_files.mesh_shapes(source, found.get("filename", ""))]
    try:
        if found.tag == "box":
            return [primitive("box", xml_files.numbers(source, found, "size", "", 3) / 2)]
        radius = xml_files.numbers(source, found, "radius", "", 1)
        if found.tag == "sphere":
            return [primitive("sphere", radius)]
        return [primitive(found.tag, [*radius, *xml_files.numbers(source, found, "length", "", 1) / 2])]
    except ValueError as error:
        if hasattr(error, "found"):
            raise
        raise source.error(f"<{found.tag}>", str(error), "a box, cylinder, sphere or mesh") from None
