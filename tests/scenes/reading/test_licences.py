"""Furniture's licence is what its file says, else what lies beside it says."""

import json
import struct

import pytest

from mjxhuman.scenes.convex import box_corners, hull_mesh
from mjxhuman.scenes.reading.load import read_furniture

trimesh = pytest.importorskip("trimesh")
BOX = hull_mesh(box_corners([0.3, 0.3, 0.35], [0, 0, 0.35]))
URDF = '<robot name="table"><link name="a"><visual><geometry><box size="1 1 0.7"/></geometry></visual></link></robot>'
MJCF = (
    '<mujoco><worldbody><body name="table"><freejoint/><geom type="box" size=".5 .5 .35"/></body></worldbody></mujoco>'
)


def licence(file, **options) -> str:
    return read_furniture(file, **options)[1].licence


@pytest.mark.parametrize(("name", "text"), [("table.urdf", URDF), ("table.xml", MJCF)])
def test_comments_of_models(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(f"<!-- Under Apache License,\n Version 2.0 -->{text}")
    assert licence(file) == "Apache License, Version 2.0"
    file.write_text(text)
    assert licence(file) == ""


def test_copyright_of_gltf(tmp_path):
    data = trimesh.Trimesh(BOX.vertices[:, [1, 2, 0]], BOX.faces).export(file_type="glb")
    length = struct.unpack("<I", data[12:16])[0]
    for said, expected in (("  CC BY 4.0,\n A. Maker", "CC BY 4.0, A. Maker"), (7, ""), (None, "")):
        head = json.loads(data[20 : 20 + length])
        head["asset"]["copyright"] = said
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 4)
        whole = data[:8] + struct.pack("<II", len(data) - length + len(text), len(text)) + b"JSON" + text
        (tmp_path / "table.glb").write_bytes(whole + data[20 + length :])
        assert licence(tmp_path / "table.glb") == expected


def test_a_file_beside(tmp_path):
    file = tmp_path / "table.urdf"
    file.write_text(URDF)
    (tmp_path / "LICENSE.txt").write_text("\n  Attribution 4.0 International\n\nmore")
    assert licence(file) == "Attribution 4.0 International"
    assert "the licence is that of LICENSE.txt beside it" in read_furniture(file)[1].conventions
    (tmp_path / "LICENSE.txt").write_text("Permission under the MIT licence")
    assert licence(tmp_path) == "MIT"
    file.write_text(f"<!-- CC0 -->{URDF}")
    assert licence(file) == "CC0"
