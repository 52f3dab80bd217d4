"""Meshes become convex pieces that stand for them; what cannot is said."""

import importlib.util
import subprocess
import sys
import threading

import numpy as np
import pytest
import trimesh

from mjxhuman.scenes.decomposition import coacd_pool
from mjxhuman.scenes.decomposition import decompose as module
from mjxhuman.scenes.decomposition.components import components, open_edges
from mjxhuman.scenes.decomposition.decompose import decompose, sheets
from mjxhuman.scenes.decomposition.fidelity import measure
from mjxhuman.scenes.decomposition.hulls import VERTICES
from mjxhuman.scenes.reading.load import load_scene
from mjxhuman.scenes.stability import stability
from mjxhuman.scenes.types import Mesh, Scene, resting

needs_coacd = pytest.mark.skipif(importlib.util.find_spec("coacd") is None, reason="CoACD is not installed")
LEGS = [(x, y) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MJXHUMAN_CACHE", str(tmp_path))


def _at(made: trimesh.Trimesh, *place: float) -> trimesh.Trimesh:
    made.apply_translation(place)
    return made


def _box(size, at) -> trimesh.Trimesh:
    return _at(trimesh.creation.box(size), *at)


def _join(*made: trimesh.Trimesh) -> Mesh:
    one = trimesh.util.concatenate(made)
    return Mesh(np.asarray(one.vertices), np.asarray(one.faces))


def _rod(radius: float, height: float, at) -> trimesh.Trimesh:
    return _at(trimesh.creation.cylinder(radius, height, sections=48), at[0], at[1], height / 2)


def _pedestal() -> Mesh:
    """A table of one turned post, in one component that is nowhere near convex."""
    outline = [
        [0, 0],
        [0.25, 0],
        [0.25, 0.02],
        [0.04, 0.05],
        [0.03, 0.35],
        [0.04, 0.69],
        [0.4, 0.71],
        [0.4, 0.74],
        [0, 0.74],
    ]
    made = trimesh.creation.revolve(np.array(outline), sections=16)
    return Mesh(np.asarray(made.vertices), np.asarray(made.faces))


FIT = {
    "a stool of round legs": _join(_box([0.5, 0.5, 0.04], [0, 0, 0.46]), *(_rod(0.02, 0.44, at) for at in LEGS)),
    "a thin plate on legs": _join(_box([1.2, 0.7, 0.003], [0, 0, 0.75]), *(_rod(0.02, 0.75, at) for at in LEGS)),
    "a stool on balls": _join(
        _box([0.5, 0.5, 0.04], [0, 0, 0.46]), *(_at(trimesh.creation.icosphere(2, 0.03), *at, 0.03) for at in LEGS),
        *(_box([0.03, 0.03, 0.4], [x, y, 0.25]) for x, y in LEGS)),
    "a drum": _join(_rod(0.2, 0.45, (0, 0))),
    "a seat with a bump": _join(
        _box([0.5, 0.5, 0.04], [0, 0, 0.46]), _at(trimesh.creation.icosphere(3, 0.06), 0.1, 0.1, 0.47),
        *(_box([0.04, 0.04, 0.44], [x, y, 0.22]) for x, y in LEGS)),
    "a bench of thirty slats": _join(
        *(_box([0.034, 0.5, 0.03], [x, 0, 0.435]) for x in np.linspace(-0.6, 0.6, 30)),
        *(_box([1.24, 0.04, 0.04], [0, y, 0.40]) for y in (-0.2, 0.2)),
        *(_box([0.05, 0.05, 0.42], [3 * x, y, 0.21]) for x, y in LEGS)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIT)
def test_separate_convex_components_need_no_search(name, monkeypatch):
    monkeypatch.setattr(module, "take_apart", lambda meshes, *_: pytest.fail("searched") if meshes else [])
    parts, unfit = decompose(FIT[name])
    assert unfit == "", measure(FIT[name], parts)
    assert parts.vertices.shape[1:] == (VERTICES, 3)
    assert len(parts.mask) in (8, 16, 32)


def test_a_sheet_gets_a_thickness_and_a_picture_on_a_face_is_left_out():
    sheet = trimesh.Trimesh(
        [[-0.5, -0.5, 0.7], [0.5, -0.5, 0.7], [0.5, 0.5, 0.7], [-0.5, 0.5, 0.7]], [[0, 1, 2], [0, 2, 3]]
    )
    picture = trimesh.Trimesh([[0.18, 0.18, 0], [0.22, 0.18, 0], [0.2, 0.22, 0]], [[0, 2, 1]])
    mesh = _join(sheet, picture, *(_box([0.05, 0.05, 0.7], [x, y, 0.35]) for x, y in LEGS))
    assert sheets(mesh) == 2
    parts, unfit = decompose(mesh)
    assert unfit == ""
    assert parts.mask.sum() == 5
    plate = parts.vertices[np.ptp(parts.vertices[..., 0], axis=1).argmax()]
    assert (plate[:, 2].min(), plate[:, 2].max()) == pytest.approx((0.699, 0.7), abs=1e-4)


def test_many_components_that_touch_face_to_face_are_joined():
    boxes = [_box([0.02, 0.02, 0.04], [0.02 * i, 0.02 * j, 0.02]) for i in range(10) for j in range(8)]
    parts, unfit = decompose(_join(*boxes))
    assert unfit == ""
    assert len(parts.mask) == 32


@needs_coacd
def test_what_is_not_convex_is_taken_apart_and_kept():
    mesh = _pedestal()
    parts, unfit = decompose(mesh)
    found = measure(mesh, parts)
    assert unfit == "", found
    assert parts.mask.sum() > 2
    again, _ = decompose(mesh, cache=False)
    np.testing.assert_array_equal(again.vertices, parts.vertices)


def test_pieces_come_from_the_cache_and_a_broken_file_is_made_anew(tmp_path, monkeypatch):
    mesh = FIT["a stool of round legs"]
    parts, _ = decompose(mesh)
    (file,) = (tmp_path / "pieces").glob("*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_decompose", lambda *_: pytest.fail("made twice"))
        known, unfit = decompose(mesh)
    np.testing.assert_array_equal(known.planes, parts.planes)
    assert unfit == ""
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(decompose(mesh)[0].vertices, parts.vertices)
    decompose(mesh, vertices=24)
    decompose(mesh, seed=1)
    assert len(list((tmp_path / "pieces").glob("*.npz"))) == 3


def test_what_is_kept_stays_kept_when_a_piece_is_cut():
    points = np.asarray(trimesh.creation.box([0.4, 0.1, 0.1]).vertices)
    keep = points[points[:, 1] > 0]
    halves = module._halves(module._Marked(points, keep))
    assert [len(half.keep) for half in halves] == [2, 2]
    found = np.concatenate([half.keep for half in halves])
    assert {tuple(p) for p in found} == {tuple(p) for p in keep}


def test_what_is_one_solid_is_one_component_however_its_vertices_are_shared():
    box = trimesh.creation.box([0.4, 0.4, 0.4])
    lid = box.face_normals[:, 2] > 0.5
    cup, top = (trimesh.Trimesh(box.vertices, box.faces[which]) for which in (~lid, lid))
    (found,) = components(_join(cup, top))
    assert len(found.faces) == 12 and not len(open_edges(found))


def test_pieces_that_leave_corners_of_their_mesh_out_are_searched_for_once_more(tmp_path, monkeypatch):
    box = trimesh.creation.box([0.4, 0.4, 0.4])
    whole, part = np.asarray(box.vertices), 0.5 * np.asarray(box.vertices)
    for first, tries in ((part, ["off", "on"]), (whole, ["off"])):
        given, asked = [first, whole], []

        def search(mesh, options, *_, given=given, asked=asked):
            asked.append(options["preprocess_mode"])
            return [given.pop(0)], False

        monkeypatch.setattr(coacd_pool, "_search", search)
        found = coacd_pool._one(Mesh(whole, np.asarray(box.faces)), {}, tmp_path, coacd_pool._Processes())
        assert asked == tries and not found.late
        np.testing.assert_array_equal(found.pieces[0], whole)


def test_where_the_search_fails_the_hull_is_unfit_and_says_by_how_much(monkeypatch):
    monkeypatch.setattr(module, "take_apart", lambda meshes, *_: [coacd_pool.Found([]) for _ in meshes])
    monkeypatch.setattr(module, "LADDER", module.LADDER[:1])
    _, unfit = decompose(_pedestal())
    assert "of the mesh's volume (expected within 10%)" in unfit


_SLOW = """
import numpy as np
def set_log_level(level): pass
def Mesh(*_): pass
def run_coacd(mesh, threshold, **options):
    while threshold < 0.08: pass  # all searches but the coarse one never end
    return [(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]), None)]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of processor time")
def test_a_search_that_takes_too_long_is_ended_and_made_coarsely(tmp_path, monkeypatch):
    (tmp_path / "coacd.py").write_text(_SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(coacd_pool, "LIMIT", 1)
    monkeypatch.setattr(coacd_pool.importlib.util, "find_spec", lambda name: name)
    (found,) = coacd_pool.take_apart([_pedestal()], 0.02)
    assert found.late and len(found.pieces) == 1


def test_what_took_too_long_is_not_tried_finer_and_says_so(monkeypatch):
    tried = []
    monkeypatch.setattr(
        module, "take_apart", lambda meshes, *a: tried.append(a) or [coacd_pool.Found([], late=True) for _ in meshes]
    )
    _, unfit = decompose(_pedestal())
    assert len(tried) == 1
    assert unfit.endswith("; the search for pieces of 1 of 1 components took over 60 s of processor time")


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((3, 3)), np.zeros((0, 3), int), r"faces \(M, 3\)"),
        (np.zeros((3, 3)), np.array([[0, 1, 2]]), "extent of more than 2 mm"),
        (np.array([[0, 0, np.nan], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]), "finite vertices, found nan"),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, faces, message):
    with pytest.raises(ValueError, match=message):
        decompose(Mesh(vertices, faces))


@needs_coacd
def test_a_search_can_be_interrupted(monkeypatch):
    made = trimesh.creation.torus(0.3, 0.1, major_sections=96, minor_sections=64)
    started = []

    class Interrupted(subprocess.Popen):
        def wait(self, timeout=None):
            started.append(self)
            if threading.current_thread() is not threading.main_thread() and len(started) == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(coacd_pool.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        coacd_pool.take_apart([Mesh(made.vertices, made.faces)] * 6, 0.005)
    processes = list(dict.fromkeys(started))
    assert 1 <= len(processes) < 6  # the rest is never begun
    assert all(process.wait() != 0 for process in processes)


@pytest.mark.slow
@needs_coacd
def test_shared_furniture_is_seen_as_it_is_and_its_stool_stands(shared):
    names = ("chair_agne_0010", "chair_bernhard_0146", "closd_sofa", "furniture_sim_table", "polyhaven_stool.obj")
    found = {n: load_scene(shared / "data" / "meshes" / n).objects[0] for n in (*names, "polyhaven_table.obj")}
    assert {name: o.unfit for name, o in found.items()} == dict.fromkeys(found, "")
    assert all(o.parts.vertices.shape[1] == VERTICES and len(o.parts.mask) in (8, 16, 32) for o in found.values())
    stool = stability(Scene((found["chair_agne_0010"],), resting((found["chair_agne_0010"],))), drops=16)
    assert 16 * stool.rate >= 15, stool
