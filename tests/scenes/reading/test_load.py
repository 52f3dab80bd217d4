from __future__ import annotations

import sys

import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import up_rotation
from mjxhuman.options import UNITS
from mjxhuman.scenes import load_scene, save_scene
from mjxhuman.scenes.convex import box_corners, hull_mesh, join
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.mesh import winding_number
from mjxhuman.scenes.named import named_scene
from mjxhuman.scenes.types import Mesh

trimesh = pytest.importorskip("trimesh")


def chair_boxes():
    """A chair that faces +x: seat top at 0.45 m, back on the side of -x; feet and back are not symmetric."""
    legs = [box_corners([0.02, 0.02, 0.205], [x, y, 0.205]) for x in (-0.19, 0.19) for y in (-0.18, 0.18)]
    return [*legs, box_corners([0.22, 0.21, 0.02], [0, 0, 0.43]), box_corners([0.015, 0.2, 0.2], [-0.195, 0, 0.65])]


CHAIR = join([hull_mesh(corners) for corners in chair_boxes()])


def written(path, mesh: Mesh = CHAIR, up: str = "z", unit: str = "m", suffix: str = "obj", name: str = "chair"):
    """A file of a mesh (z up, m) in another axis and unit."""
    vertices = mesh.vertices @ up_rotation(up) / UNITS[unit]
    file = path / f"{name}.{suffix}"
    trimesh.Trimesh(vertices, mesh.faces, process=False).export(file, **({"header": ""} if suffix == "obj" else {}))
    return file


def lines_of(scene) -> str:
    return "; ".join(scene.provenance.conventions)


@pytest.mark.parametrize(
    ("name", "size", "height", "kind"),
    [
        ("chair_bernhard_0146", (0.48, 0.45, 0.91), None, "chair"),
        ("chair_agne_0010", (0.34, 0.34, 0.464), 0.464, "chair"),
        ("polyhaven_stool.obj", (0.38, 0.41, 0.58), 0.58, "stool"),
        ("polyhaven_table.obj", (1.13, 0.71, 0.80), 0.80, "table"),
        ("closd_sofa", (2.73, 0.75, 0.74), None, "sofa"),
        ("furniture_sim_table", (1.2, 0.75, 0.76), 0.76, "table"),
    ],
)
@pytest.mark.slow
def test_shared_furniture_has_the_sizes_that_are_known(shared, name, size, height, kind):
    """Sizes and heights of the data's README: the sofa's depth is that of its seat, cushions reach 2 cm farther."""
    scene = load_scene(shared / "data" / "meshes" / name)
    (thing,) = scene.objects
    np.testing.assert_allclose(np.ptp(thing.mesh.vertices, axis=0), size, atol=0.02)
    low, high = thing.mesh.vertices.min(0), thing.mesh.vertices.max(0)
    np.testing.assert_allclose([*(low + high)[:2] / 2, low[2]], 0, atol=1e-9)
    assert thing.kind == kind
    assert height is None or thing.points[thing.normals[:, 2] > 0.9, 2].max() == pytest.approx(height, abs=0.005)
    np.testing.assert_array_equal(scene.poses, [[0, 0, 0, 1, 0, 0, 0]])
    outside, inside = (winding_number(thing.mesh, thing.points + side * thing.normals) for side in (0.002, -0.002))
    assert (outside < 0.5).mean() > 0.97
    assert (inside > 0.4).mean() > 0.97  # legs of some are open tubes


@pytest.mark.parametrize("suffix", ["obj", "stl", "ply"])
@pytest.mark.parametrize(("up", "unit"), [("z", "m"), ("y", "mm"), ("y", "inch"), ("z", "cm")])
def test_files_without_conventions_are_read_the_one_way_that_stands(tmp_path, suffix, up, unit):
    scene = load_scene(written(tmp_path, up=up, unit=unit, suffix=suffix))
    (chair,) = scene.objects
    np.testing.assert_allclose(chair.mesh.vertices.max(0), [0.22, 0.21, 0.85], atol=1e-5)
    assert (chair.points[np.abs(chair.normals[:, 2]) < 0.1, 0] < -0.17).any()  # the back is still at -x
    assert f"{up} is up: only so it stands like furniture" in lines_of(scene)
    assert f"1 length unit is {UNITS[unit]:g} m: only so it has its size" in lines_of(scene)


def test_a_glb_has_y_up_and_metres_by_its_format(tmp_path):
    chair = load_scene(written(tmp_path, up="y", suffix="glb")).objects[0]
    np.testing.assert_allclose(chair.mesh.vertices.max(0), [0.22, 0.21, 0.85], atol=1e-6)
    with pytest.raises(
        MotionFileError, match=r"size: found 850 m \(in mm it is 0.85 m\), expected 0.05-10 m, or the arg"
    ):
        load_scene(written(tmp_path, up="y", unit="mm", suffix="glb"))


def test_comments_of_a_file_and_flags_decide(tmp_path):
    file = written(tmp_path, up="y", unit="cm")
    file.write_text("# exported in centimetres, y up, CC0\n" + file.read_text())
    scene = load_scene(file)
    assert scene.objects[0].mesh.vertices[:, 2].max() == pytest.approx(0.85)
    assert (lines_of(scene), scene.provenance.licence) == ("", "CC0")
    lying = load_scene(file, up="z", unit="inch").objects[0]
    np.testing.assert_allclose(np.ptp(lying.mesh.vertices, axis=0), np.array([0.42, 0.85, 0.44]) * 2.54, atol=1e-6)


def test_two_readings_are_an_error_that_names_the_flag(tmp_path):
    cube = hull_mesh(box_corners([0.4, 0.35, 0.42], [0, 0, 0.42]))
    with pytest.raises(MotionFileError, match=r"up axis: found several readings .*, or the argument up="):
        load_scene(written(tmp_path, cube, name="cube"))
    with pytest.raises(MotionFileError, match=r"length unit: found several readings .*, or the argument unit="):
        load_scene(written(tmp_path, cube, unit="inch", name="cube"), up="z")
    assert load_scene(written(tmp_path, cube, name="cube"), up="z").objects[0].mesh.vertices[:, 2].max() == 0.84


def test_a_seat_at_no_height_to_sit_at_is_a_warning_with_the_likely_unit(tmp_path):
    scene = load_scene(written(tmp_path, unit="inch"), up="z", unit="cm")
    assert (
        "warning: the chair's seat is at 0.177 m, usual are 0.30-0.60 m: the unit is probably inch (--unit)"
        in lines_of(scene)
    )


def test_an_object_stands_on_the_floor_below_its_middle(tmp_path):
    moved = Mesh(CHAIR.vertices + [3.0, -2.0, 0.1], CHAIR.faces)
    scene = load_scene(written(tmp_path, moved))
    np.testing.assert_allclose(scene.objects[0].mesh.vertices.min(0), [-0.22, -0.21, 0], atol=1e-7)
    assert scene.provenance.ground_offset == pytest.approx(-0.1)
    assert "moved by -0.1000 m along z: the lowest point is on the floor" in lines_of(scene)


def test_pieces_that_are_given_are_taken_and_held_against_the_mesh(tmp_path):
    file = written(tmp_path, up="y", unit="mm")
    (tmp_path / "pieces").mkdir()
    for i, corners in enumerate(chair_boxes()):
        written(tmp_path / "pieces", hull_mesh(corners), up="y", unit="mm", name=f"part{i}")
    scene = load_scene(file, parts=tmp_path / "pieces")
    (chair,) = scene.objects
    assert (int(chair.parts.mask.sum()), chair.unfit) == (6, "")
    assert chair.parts.vertices.reshape(-1, 3)[:, 2].max() == pytest.approx(0.85, abs=1e-3)
    assert "6 pieces from pieces" in lines_of(scene)
    (tmp_path / "pieces" / "part5.obj").unlink()  # the back
    assert "bounding box 400.0 mm off" in load_scene(file, parts=tmp_path / "pieces").objects[0].unfit


def test_a_folder_of_several_objects_is_refused(tmp_path):
    for name in ("stool", "big_table"):
        written(tmp_path, name=name)
    with pytest.raises(MotionFileError, match="folder: found a stool and a table, expected parts of one object"):
        load_scene(tmp_path)


def test_without_trimesh_meshes_say_what_to_install_and_boxes_load(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    (tmp_path / "stool.xml").write_text(
        "<mujoco><worldbody><body><geom type='box' size='.2 .2 .2' pos='0 0 .2'/></body></worldbody></mujoco>"
    )
    assert float(load_scene(tmp_path / "stool.xml").objects[0].mass) == 6.0
    (tmp_path / "stool.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ModuleNotFoundError, match=r"reading meshes needs the extra 'scenes': pip install 'mjx"):
        load_scene(tmp_path / "stool.obj")


def test_what_is_saved_is_read_as_it_was(tmp_path):
    scene = load_scene(written(tmp_path))
    again = mjxhuman.load_scene(save_scene(tmp_path / "scene.npz", scene))
    assert again.names == scene.names and again.provenance == scene.provenance
    for name in ("points", "normals", "mass", "com", "inertia", "friction"):
        np.testing.assert_array_equal(getattr(again.objects[0], name), getattr(scene.objects[0], name))
    np.testing.assert_array_equal(again.objects[0].parts.planes, scene.objects[0].parts.planes)
    np.testing.assert_array_equal(again.objects[0].mesh.faces, scene.objects[0].mesh.faces)


def test_a_saved_scene_takes_no_options(tmp_path):
    file = save_scene(tmp_path / "scene.npz", load_scene(written(tmp_path)))
    with pytest.raises(MotionFileError, match="mass: found an argument, expected none"):
        load_scene(file, mass=5.0)


def test_a_command_takes_files_and_what_is_built_in(tmp_path, capsys):
    given = {"unit": "mm", "mass": 6.0}
    file = written(tmp_path, unit="mm")
    assert float(named_scene(str(file), **given).objects[0].mass) == 6.0
    assert named_scene("chair:3:short_leg", **given).names == make_furniture("chair", 3, "short_leg").names
    with pytest.raises(FileNotFoundError, match="chairs: no such file, and none of the kinds chair, stool"):
        named_scene("chairs", **given)
    assert main(["info", str(file)]) == 0
    said = capsys.readouterr().out
    assert "chair (chair): 0.440 x 0.420 x 0.850 m, 72 faces, 6 parts" in said
    assert "1 length unit is 0.001 m: only so it has its size" in said
    for name in ("empty.obj", "noise.glb"):
        (tmp_path / name).write_bytes(b"" if name == "empty.obj" else b"\xff\x00\x01noise")
        assert main(["info", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert f"{name}: file: found" in said and ("expected furniture" in said or "GLB, PLY, URDF" in said)


def test_bodies_of_a_model_are_objects_where_they_stand(tmp_path):
    (tmp_path / "room.xml").write_text(
        """<mujoco><worldbody><geom type="plane" size="1 1 1"/>
        <body name="table" pos="1 2 0"><inertial pos="0 0 0" mass="12" diaginertia="1 1 1"/>
          <geom type="box" size="0.4 0.3 0.36" pos="0 0 0.36" material="wood"/></body>
        <body name="cup" pos="1 2 0.72"><freejoint/><geom type="cylinder" size="0.05 0.05" pos="0 0 0.05"/></body>
        </worldbody></mujoco>"""
    )
    scene = load_scene(tmp_path / "room.xml")
    assert scene.names == ("table", "cup")
    np.testing.assert_allclose(scene.poses[:, :3], [[1, 2, 0], [1, 2, 0.72]], atol=1e-6)
    assert float(scene.objects[0].mass) == 12
    np.testing.assert_allclose(np.ptp(scene.objects[1].mesh.vertices, axis=0), [0.1, 0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.obj", b"", "0 bytes, nothing in it, expected furniture"),
        ("a.obj", b"hello\n", "content of no known format: 'hello"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "found .*, expected"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv nan 1 0\nf 1 2 3\n", "1 of 1 faces without usable coordinates"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "faces: found none of 1 with an area"),
        ("a.stl", b"\0" * 80 + b"\xff\xff\xff\x7f" + b"\0" * 50, "found 1 faces, expected 2147483647 as the he"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 999999999\nend_header\n", "vertex: found .* bytes"),
        ("a.glb", b"glTF\x02\0\0\0\x10\0\0\0", "content that cannot be read"),
        ("a.urdf", b"<robot name='x'/>", "geometry: found none"),
        ("a.urdf", b"<robot name='x'><link", "XML that is not well formed"),
        ("a.urdf", b"<robot><link name='a'><visual><geometry><mesh filename='no.obj'/></geometry></visual></link>"
         b"</robot>",
         "found 'no.obj', expected a file in"),
        ("a.xml", b"<mujoco><worldbody><geom type='sphere'/></worldbody></mujoco>", "does not compile"),
        ("a.npz", b"PK\x05\x06" + b"\0" * 18, "arrays: found none, expected those of a scene"),
    ],
)  # fmt: skip
def test_what_is_no_furniture_is_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MotionFileError, match=message) as error:
        load_scene(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_arguments_are_checked(tmp_path):
    file = written(tmp_path)
    for options, message in (
        ({"up": "q"}, "up: expected one of x, y, z"),
        ({"unit": "furlong"}, "unit: expected one of m, cm"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"mass": 1000.0}, "mass of 'chair': found 1000 kg, expected 0.1 to 500 kg, or the argument mass="),
        ({"kind": "throne"}, "kind: expected one of chair, stool"),
    ):
        with pytest.raises(ValueError, match=message):
            load_scene(file, **options)
    with pytest.raises(FileNotFoundError):
        load_scene(tmp_path / "none.obj")
