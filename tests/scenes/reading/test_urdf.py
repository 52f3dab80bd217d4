import numpy as np
import pytest

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source
from mjxhuman.scenes.reading.urdf import read_urdf

LINK = "<link name='{name}'><visual>{origin}<geometry>{shape}</geometry></visual></link>"


def read(path, content: str):
    file = path / "thing.urdf"
    file.write_text(f"<robot name='thing'>{content}</robot>")
    return read_urdf(Source(file))


def link(name="a", shape="<box size='1 1 1'/>", origin=""):
    return LINK.format(name=name, shape=shape, origin=origin)


def joint(parent, child, origin=""):
    return (
        f"<joint name='{parent}{child}' type='fixed'><parent link='{parent}'/><child link='{child}'/>{origin}</joint>"
    )


def test_links_stand_where_joints_at_zero_put_them(tmp_path):
    # the child turns by 90 degrees about z, so its box, long along x, is long along y, 2 m above its own origin's place
    long = link("b", "<box size='1 .2 .2'/>", "<origin xyz='0.5 0 0'/>")
    turned = joint("a", "b", "<origin xyz='0 0 2' rpy='0 0 1.5707963267948966'/>")
    (item,) = read(tmp_path, link("a", "<cylinder radius='.1' length='.4'/>") + long + turned).items
    leg, bar = (shape.vertices for shape in item.shapes)
    np.testing.assert_allclose([leg.min(0), leg.max(0)], [[-0.1, -0.1, -0.2], [0.1, 0.1, 0.2]], atol=1e-9)
    np.testing.assert_allclose([bar.min(0), bar.max(0)], [[-0.1, 0, 1.9], [0.1, 1, 2.1]], atol=1e-9)


def test_meshes_are_scaled_and_found_beside_the_file(tmp_path):
    (tmp_path / "tri.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (item,) = read(tmp_path, link("a", "<mesh filename='package://far/away/tri.obj' scale='2 2 -2'/>")).items
    np.testing.assert_allclose(item.shapes[0].vertices.max(0), [2, 2, 0])
    a, b, c = item.shapes[0].vertices[item.shapes[0].faces[0]]
    assert np.cross(b - a, c - a)[2] < 0  # mirrored: the face looks the other way, as its mirror image does


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (link() + joint("a", "b"), "joint 'ab': found no link 'b'"),
        (link("a") + link("b") + joint("a", "b") + joint("b", "a"), "joints: found links in a circle"),
        (link(shape="<box size='1 1'/>"), "size of <box>: found '1 1', expected 3 finite numbers"),
        (link(shape="<box size='1 -1 1'/>"), "<box>: found .*positive"),
        (link(shape="<cone/>"), "radius of <cone>"),
        ("<link name='a'/>", "geometry: found none"),
    ],
)
def test_what_is_no_object_is_refused(tmp_path, content, message):
    with pytest.raises(MotionFileError, match=message):
        read(tmp_path, content)
