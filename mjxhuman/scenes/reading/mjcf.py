"""MJCF: each body of the world as one object, its joints at zero. Format: z up, metres, kilograms.

Read from what MuJoCo compiles, so that classes, frames and orientations mean what they mean there. Only geometry is
kept: materials, actuators and the like are taken out first, and meshes are read as those of any other file. Files of
``<mujocoinclude>`` (furniture_sim) are read with those beside them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import mujoco
import numpy as np

from mjxhuman.data.source import Source
from mjxhuman.scenes.convex import join
from mjxhuman.scenes.reading import licences, xml_files
from mjxhuman.scenes.reading.shapes import Contents, Item, Shape, primitive
from mjxhuman.scenes.types import Mesh

_ROOTS = ("mujoco", "mujocoinclude")
#: Elements of a model that say where geometry is.
_KEPT = ("compiler", "default", "asset", "worldbody")
#: Attributes that hold names.
_TEXT = ("name", "class", "childclass", "file", "mesh")
#: Geoms of these types are things; planes and height fields are ground.
_THINGS = ("sphere", "capsule", "ellipsoid", "cylinder", "box", "mesh")
#: Groups of geoms that viewers show.
_SEEN = 2
#: Files that include each other, and copies that a file asks for.
_INCLUDES, _COPIES = 100, 1000


def is_mjcf(source: Source) -> bool:
    """Whether a file is a model of MuJoCo, or a part of one."""
    return xml_files.root_tag(source) in _ROOTS


def read_mjcf(source: Source) -> Contents:
    """The geometry that is seen, of bodies that show none all of it; geometry of the world itself cannot be pushed.

    Raises:
      MotionFileError: no geometry, a file that is not there, a model that MuJoCo does not compile.
    """
    root = _model(source)
    meshdir = next((c.get("meshdir") or c.get("assetdir") for c in root.iter("compiler") if c.attrib), None) or ""
    try:
        spec = mujoco.MjSpec.from_string(ET.tostring(root, "unicode"))
        for mesh in spec.meshes:
            _fill(source, mesh, meshdir)
        for geom in spec.geoms:  # MuJoCo asks of what collides that its hull has a volume
            geom.contype = geom.conaffinity = 0
        model = spec.compile()
    except (ValueError, TypeError, RecursionError, mujoco.FatalError) as error:
        if hasattr(error, "found"):
            raise
        reason = " ".join(str(error).split())[:200]
        raise source.error("model", f"what MuJoCo does not compile ({reason})", "a whole MJCF model") from None
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    masses = _masses(source, root)
    items = []
    for body in np.unique(model.body_rootid[model.geom_bodyid]):
        geoms = [g for g in np.flatnonzero(model.body_rootid[model.geom_bodyid] == body) if _type(model, g) in _THINGS]
        seen = [g for g in geoms if model.geom_group[g] <= _SEEN and model.geom_rgba[g, 3] > 0] or geoms
        if seen:
            name = model.body(body).name if body else source.path.stem
            shapes = tuple(_shape(source, model, data, g) for g in seen)
            items.append(Item(name or source.path.stem, shapes, masses.get(name) if body else None, free=body != 0))
    if not items:
        raise source.error("geometry", "none but ground", f"a body with a geom ({', '.join(_THINGS)})")
    return Contents(tuple(items), "z", 1.0, licences.in_comments(source))


def _model(source: Source) -> ET.Element:
    """The model of a file with what it includes, and nothing but geometry in it."""
    parts = list(_included(source, source, [0]))
    if xml_files.root_tag(source) == "mujocoinclude":
        for path in sorted(source.path.parent.glob("*.xml")):
            if path != source.path and xml_files.root_tag(Source(path)) == "mujocoinclude":
                other = list(_included(source, Source(path), [0]))
                if not any(element.tag in ("body", "worldbody") for element in other):
                    source.note(f"read with {path.name}, which is beside it")
                    parts = other + parts
    root = ET.Element("mujoco")
    bodies = ET.Element("worldbody")
    for element in parts:
        if element.tag in _KEPT:
            root.append(element)
        elif element.tag in ("body", "geom"):
            bodies.append(element)
    root.append(bodies)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (
                "texture",
                "material",
                "hfield",
                "skin",
                "plugin",
                "composite",
                "flexcomp",
                "attach",
                "model",
            ):
                parent.remove(child)
        parent.attrib.pop("material", None)
        parent.attrib.pop("hfield", None)
    for element in root.iter():
        for name, text in element.attrib.items():
            if name not in _TEXT and re.search(r"(?i)(^|\s)[-+]?nan(\s|$)", text):  # MuJoCo goes on with it
                raise source.error(f"{name} of <{element.tag}>", repr(text[:40]), "numbers")
    copies = [element.get("count", "1") for element in root.iter("replicate")]
    if not all(text.isdigit() and int(text) <= _COPIES for text in copies) or len(copies) > 2:
        raise source.error("replicate", ", ".join(copies)[:40], f"at most two, of {_COPIES} copies")
    return root


def _included(main: Source, source: Source, count: list[int]) -> Iterator[ET.Element]:
    """Elements of a model file, those of the files it includes in their place."""
    count[0] += 1
    if count[0] > _INCLUDES:
        raise main.error("include", f"more than {_INCLUDES} files", "files that do not include each other")
    root = xml_files.parse(source)
    if root.tag not in _ROOTS:
        raise main.error("include", f"<{root.tag}> in {source.path.name}", "<mujoco> or <mujocoinclude>")
    for parent in list(root.iter()):
        for at, child in reversed(list(enumerate(list(parent)))):
            if child.tag == "include":
                inside = _included(main, xml_files.beside(main, child.get("file", "")), count)
                parent[at : at + 1] = list(inside)
    yield from root


def _fill(source: Source, mesh: mujoco.MjsMesh, meshdir: str) -> None:
    """Give a mesh of a model the triangles of its file."""
    if not mesh.file:
        return
    shapes = xml_files.mesh_shapes(source, mesh.file, (meshdir, ""))
    whole = join([Mesh(shape.vertices, shape.faces) for shape in shapes])
    if not np.isfinite(whole.vertices).all():
        raise source.error(f"mesh {mesh.file}", "coordinates that are no numbers", "a whole mesh")
    mesh.name = mesh.name or mesh.file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    mesh.file = ""
    mesh.uservert, mesh.userface = whole.vertices.ravel(), whole.faces.ravel()
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # the one that asks for no volume


def _type(model: mujoco.MjModel, geom: int) -> str:
    return mujoco.mjtGeom(model.geom_type[geom]).name.removeprefix("mjGEOM_").lower()


def _shape(source: Source, model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> Shape:
    name = model.geom(geom).name
    if _type(model, geom) == "mesh":
        mesh = model.mesh(model.geom_dataid[geom])
        at, face = int(mesh.vertadr[0]), int(mesh.faceadr[0])
        vertices = model.mesh_vert[at : at + int(mesh.vertnum[0])]
        shape = Shape(name or mesh.name, vertices, model.mesh_face[face : face + int(mesh.facenum[0])])
    else:
        try:
            shape = primitive(_type(model, geom), model.geom_size[geom], name)
        except ValueError as error:
            raise source.error(f"geom {name!r}", str(error), "a geom with a volume") from None
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom]
    return shape.moved(transform)


def _masses(source: Source, root: ET.Element) -> dict[str, float]:
    """Masses in kg of the world's bodies for which every body with a geom states one."""
    masses = {}
    for body in root.findall("worldbody/body"):
        stated = [part.find("inertial") for part in body.iter("body") if part.find("geom") is not None]
        if stated and all(element is not None for element in stated):
            masses[body.get("name", "")] = sum(
                float(xml_files.numbers(source, element, "mass", "", 1)[0]) for element in stated if element is not None
            )
    return masses
