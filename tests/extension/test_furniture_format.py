"""A format of furniture of your own: a reader, and how its files are recognised; ``load_scene`` does the rest.

The reader returns triangles as they stand in the file; repair, mass, pieces and surface samples follow from them.
"""

import json

import numpy as np
import pytest

import mjxhuman
from mjxhuman.scenes import SceneFormat, register_scene_format
from mjxhuman.scenes.reading import formats as registry
from mjxhuman.scenes.reading.shapes import Contents, Item, primitive

pytest.importorskip("trimesh")


def is_plan(source):
    return b'"slabs"' in source.head


def read_plan(source):
    """Boxes by two corners, in centimetres with z up."""
    shapes = []
    for low, high in json.loads(source.path.read_text())["slabs"]:
        low, high = np.array(low, float), np.array(high, float)
        if not (low < high).all():
            raise source.error("slabs", f"{low} to {high}", "a lower and a higher corner")
        move = np.eye(4)
        move[:3, 3] = (low + high) / 2
        shapes.append(primitive("box", (high - low) / 2, "slab").moved(move))
    return Contents((Item("bench", tuple(shapes)),), up="z", unit=0.01)


def test_a_format_of_ones_own_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_FORMATS", list(registry._FORMATS))  # only for this test
    register_scene_format(SceneFormat("plan", (".plan",), is_plan, read_plan, "slabs of a bench"))
    slabs = [[[0, 0, 40], [120, 35, 45]], [[0, 0, 0], [6, 35, 40]], [[114, 0, 0], [120, 35, 40]]]
    (tmp_path / "park.plan").write_text(json.dumps({"slabs": slabs}))

    (bench,) = mjxhuman.load_scene(tmp_path / "park.plan").objects
    assert (bench.kind, int(bench.parts.mask.sum())) == ("bench", 3)
    np.testing.assert_allclose(bench.mesh.vertices.max(0), [0.6, 0.175, 0.45], atol=1e-9)

    (tmp_path / "park.plan").write_text(json.dumps({"slabs": [[[1, 1, 1], [0, 0, 0]]]}))
    with pytest.raises(ValueError, match=r"park.plan: slabs: found .* expected a lower and a higher corner"):
        mjxhuman.load_scene(tmp_path / "park.plan")
