"""Damaged files of furniture: read, or refused with the one error that reading raises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mjxhuman.data.errors import MotionFileError
from mjxhuman.scenes import load_scene, save_scene
from mjxhuman.scenes.convex import box_corners, hull_mesh, join, pack
from mjxhuman.scenes.decomposition.hulls import with_corners
from mjxhuman.scenes.mesh import components
from mjxhuman.scenes.reading import load as load_module

trimesh = pytest.importorskip("trimesh")

#: What is written over or between bytes: numbers beyond every range, as text and in binary.
_PATCHES = [b"nan", b"-inf", b"1e308", b"1e-310", b"99999999999999999999", b"-1", b"x", b"\xff" * 4, b"\0" * 4,
            b"\x00\x00\x80\x7f", b"\x00\x00\xc0\x7f", b"\xff\xff\xff\x7f"]  # fmt: skip
_SHARED = ["polyhaven_table.obj", "chair_agne_0010/00_0.obj", "closd_sofa/legs.obj",
           "furniture_sim_table/simpleWoodTable_body.xml"]  # fmt: skip


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    """One small file of every format."""
    folder = tmp_path_factory.mktemp("whole")
    boxes = [box_corners([0.02, 0.02, 0.2], [x, y, 0.2]) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]
    stool = join([hull_mesh(corners) for corners in [*boxes, box_corners([0.25, 0.25, 0.02], [0, 0, 0.42])]])
    mesh = trimesh.Trimesh(stool.vertices, stool.faces, process=False)
    for suffix in ("obj", "stl", "ply", "glb"):
        mesh.export(folder / f"stool.{suffix}")
    mesh.export(folder / "text.stl", file_type="stl_ascii")
    mesh.export(folder / "text.ply", encoding="ascii")
    (folder / "stool.urdf").write_text(
        "<robot name='stool'><link name='a'><visual><origin xyz='0 0 0.4' rpy='0 0 1'/><geometry>"
        "<box size='.4 .4 .04'/></geometry></visual></link>"
        "<link name='b'><visual><geometry><cylinder radius='.02' length='.4'/></geometry>"
        "</visual></link><joint name='j' type='fixed'><parent link='a'/><child link='b'/></joint></robot>"
    )
    (folder / "room.xml").write_text(
        "<mujoco><worldbody><geom type='plane' size='1 1 1'/><body name='table' pos='1 2 0'><freejoint/>"
        "<geom type='box' size='.4 .3 .36' pos='0 0 .36'/><geom type='capsule' fromto='0 0 0 0 0 1' size='.03'/></body>"
        "</worldbody></mujoco>"
    )
    save_scene(folder / "stool.npz", load_scene(folder / "stool.glb", up="z"))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def hulls(mesh, **_):
    """Pieces in no time: what CoACD makes of a ruin is not the question."""
    label = components(mesh)
    points = [mesh.vertices[np.unique(mesh.faces[label == k])] for k in range(label.max() + 1)]
    return pack([with_corners(each)[0] for each in points]), ""


@st.composite
def damage(draw, data: bytes) -> bytes:
    """Bytes of a file after some accidents."""
    content = bytearray(data)
    for _ in range(draw(st.integers(1, 5))):
        if not content:
            break
        at = draw(st.integers(0, len(content) - 1))
        what = draw(st.sampled_from(["cut", "byte", "swap", "insert", "over", "drop", "repeat", "number"]))
        if what == "cut":
            del content[at:]
        elif what == "byte":
            content[at] = draw(st.integers(0, 255))
        elif what == "swap":
            other = draw(st.integers(0, len(content) - 1))
            content[at], content[other] = content[other], content[at]
        elif what in ("insert", "over"):
            patch = draw(st.sampled_from(_PATCHES))
            content[at : at + (len(patch) if what == "over" else 0)] = patch
        elif what == "number" and (found := list(re.finditer(rb"[-+]?\d+\.?\d*", bytes(content[at : at + 500])))):
            content[at + found[0].start() : at + found[0].end()] = draw(st.sampled_from(_PATCHES[:6]))
        else:
            size = draw(st.integers(1, 2000))
            piece = content[at : at + size]
            content[at : at + (size if what == "drop" else 0)] = b"" if what == "drop" else piece
    return bytes(content)


def holds_or_is_refused(file: Path) -> None:
    try:
        scene = load_scene(file, up="z", unit="m")
    except MotionFileError as refusal:
        said = str(refusal)
        assert said.startswith(str(file.parent)) and "\n" not in said
        return
    for thing in scene.objects:
        for array in (thing.points, thing.normals, thing.inertia, thing.com, thing.parts.planes):
            assert np.isfinite(array).all()
        assert float(thing.mass) > 0


def check(files: dict[str, bytes], folder: Path, monkeypatch, examples: int) -> None:
    monkeypatch.setattr(load_module, "decompose", hulls)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def run(data) -> None:
        name = data.draw(st.sampled_from(sorted(files)))
        file = folder / name
        file.write_bytes(data.draw(damage(files[name])))
        holds_or_is_refused(file)

    run()


def test_damaged_files_are_read_or_refused(originals, tmp_path, monkeypatch):
    check(originals, tmp_path, monkeypatch, 40)


@pytest.mark.slow
def test_damaged_real_files_are_read_or_refused(shared, originals, tmp_path, monkeypatch):
    real = {Path(name).name: (shared / "data" / "meshes" / name).read_bytes() for name in _SHARED}
    asset = (shared / "data" / "meshes" / "furniture_sim_table" / "simpleTable_asset.xml").read_bytes()
    (tmp_path / "simpleTable_asset.xml").write_bytes(asset)
    check(real | originals, tmp_path, monkeypatch, 500)


def test_a_scene_file_that_lies_about_itself_is_refused(originals, tmp_path):
    (tmp_path / "scene.npz").write_bytes(originals["stool.npz"])
    with np.load(tmp_path / "scene.npz") as file:
        entries = {name: file[name] for name in file.files}
    lies = {
        "version": np.array(2),
        "poses": np.full((1, 7), np.nan),
        "object0_mesh_faces": entries["object0_mesh_faces"] + 1000,
        "object0_normals": entries["object0_normals"][:5],
        "object0_mass": np.array(np.inf),
        "object0_parts_mask": np.zeros_like(entries["object0_parts_mask"]),
        "about": np.array(json.dumps({"objects": [{}]})),
    }
    for name, lie in lies.items():
        np.savez(tmp_path / "lie.npz", **(entries | {name: lie}))
        with pytest.raises(MotionFileError, match=rf"lie.npz: {name}: found .*, expected "):
            load_scene(tmp_path / "lie.npz")
        np.savez(tmp_path / "lie.npz", **{key: value for key, value in entries.items() if key != name})
        with pytest.raises(MotionFileError, match="expected"):
            load_scene(tmp_path / "lie.npz")
