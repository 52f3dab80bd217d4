import numpy as np
import pytest

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source
from mjxhuman.scenes.convex import box_corners, hull_mesh
from mjxhuman.scenes.mesh import areas_and_normals
from mjxhuman.scenes.reading import repair as repair_module
from mjxhuman.scenes.reading.repair import repair
from mjxhuman.scenes.reading.shapes import Shape, primitive

pytest.importorskip("trimesh")

BOX = hull_mesh(box_corners([0.2, 0.3, 0.1], [5, 0, 0]))


def mended(*shapes: Shape):
    source = Source("box.obj")
    return repair(source, shapes), "; ".join(source.sentences)


def box(vertices=BOX.vertices, faces=BOX.faces) -> Shape:
    return Shape("box", np.asarray(vertices), np.asarray(faces))


def looks_outward(mesh) -> bool:
    _, normals = areas_and_normals(mesh)
    centres = mesh.vertices[mesh.faces].mean(1) - mesh.vertices.mean(0)
    return bool((np.einsum("mi,mi->m", normals, centres) > 0).all())


def test_a_whole_mesh_is_left_alone():
    mesh, said = mended(box())
    assert (mesh.vertices.shape, mesh.faces.shape, said) == ((8, 3), (12, 3), "")


def test_triangles_with_corners_of_their_own_are_joined():
    soup = box(BOX.vertices[BOX.faces].reshape(-1, 3), np.arange(36).reshape(-1, 3))
    mesh, said = mended(soup)
    assert (mesh.vertices.shape, mesh.faces.shape, said) == ((8, 3), (12, 3), "")


def test_shapes_that_touch_stay_apart():
    mesh, _ = mended(box(), box(BOX.vertices + [0.4, 0, 0]))
    assert len(mesh.vertices) == 16


def test_faces_that_are_none_are_left_out_and_counted():
    vertices = [*BOX.vertices, [np.nan, 0, 0], [1e300, 0, 0]]
    faces = [*BOX.faces, BOX.faces[0], BOX.faces[1][[1, 2, 0]], [0, 0, 1], [0, 1, 8], [1, 2, 9], [0, 1, 77]]
    mesh, said = mended(box(vertices, faces))
    assert mesh.faces.shape == (12, 3)
    for sentence in (
        "1 of 18 faces without area",
        "1 of 18 faces of vertices that are not there",
        "2 of 18 faces with coordinates that are no numbers",
        "2 of 18 faces that are there twice",
    ):
        assert sentence in said


def test_components_that_look_inwards_and_single_faces_are_turned():
    mesh, said = mended(box(faces=BOX.faces[:, ::-1]))
    assert looks_outward(mesh)
    assert "faces of 1 of 1 components looked inwards, turned" in said
    faces = BOX.faces.copy()
    faces[3] = faces[3][::-1]
    mesh, said = mended(box(faces=faces))
    assert looks_outward(mesh)
    assert "wound otherwise than their neighbours, turned" in said


def test_boxes_that_share_an_edge_are_wound_well():
    edge = box(BOX.vertices + [0.4, 0.6, 0]).vertices
    vertices = np.concatenate([BOX.vertices, edge])
    mesh, said = mended(box(vertices, np.concatenate([BOX.faces, BOX.faces + 8])))
    assert (len(mesh.vertices), len(mesh.faces), said) == (14, 24, "")


def test_open_components_are_said_and_seams_are_not():
    assert "1 of 1 components are open" in mended(box(faces=BOX.faces[:-1]))[1]
    a, b, c = BOX.faces[0]
    middle = [*BOX.vertices, (BOX.vertices[a] + BOX.vertices[b]) / 2]
    split = [*BOX.faces[1:], [a, 8, c], [8, b, c]]  # the face beside it keeps its edge whole
    mesh, said = mended(box(middle, split))
    assert (len(mesh.faces), said) == (13, "")


def test_too_many_faces_are_decimated_and_it_is_said(monkeypatch):
    pytest.importorskip("fast_simplification")
    monkeypatch.setattr(repair_module, "MOST_FACES", 200)
    ball = primitive("sphere", [0.3])
    mesh, said = mended(ball)
    assert 100 < len(mesh.faces) <= 210
    assert f"{len(ball.faces)} faces decimated to {len(mesh.faces)}, which moves the bounding box by" in said
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), 0.6, atol=0.03)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (box(BOX.vertices * np.nan), "12 of 12 faces without usable coordinates"),
        (box(BOX.vertices * 0), "none of 12 with an area"),
        (box(BOX.vertices * 1e-320), "none of 12 with an area"),
        (box(faces=BOX.faces + 100), "12 of 12 faces without usable coordinates"),
    ],
)
def test_what_cannot_be_repaired_is_refused(shape, message):
    with pytest.raises(MotionFileError, match=message):
        mended(shape)
