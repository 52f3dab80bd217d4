"""``import mjxhuman`` at a prompt: what it lists, how its objects look, and that the library itself does without it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

import mjxhuman
from mjxhuman.types import Provenance, Scores

PACKAGE = Path(mjxhuman.__file__).parent


def test_dir_shows_the_public_names():
    assert dir(mjxhuman) == sorted(mjxhuman.__all__)
    for name in dir(mjxhuman):
        assert getattr(mjxhuman, name) is not None
    assert (PACKAGE / "py.typed").is_file()


def test_the_library_does_not_import_its_facade():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            whole = isinstance(node, ast.Import) and any(alias.name == "mjxhuman" for alias in node.names)
            names = isinstance(node, ast.ImportFrom) and node.module == "mjxhuman" and not node.level
            if whole or (names and {alias.name for alias in node.names} & set(mjxhuman.__all__)):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not found, f"import from the module that defines a name, not from mjxhuman: {found}"


def test_objects_are_one_line(humanoid):
    motion = mjxhuman.motion_from_qpos(
        humanoid, np.repeat(humanoid.model.qpos0[None], 9, 0), 30.0, provenance=Provenance(path="stand.npz")
    )
    assert repr(motion) == f"Motion(9 frames at 30 Hz, 0.30 s, {humanoid.description}, from stand.npz)"
    assert repr(humanoid) == f"Humanoid({humanoid.description}, ball joints, 24 bodies, nq 99, nv 75)"


def scores(**changes) -> Scores:
    values = {
        "total": np.float32(0.5), "axes": {"contact": np.float32(0.25)}, "terms": {"foot_slip": np.float32(0.125)},
        "frames": {"total": np.array([0.5, 0.75], np.float32)}, "valid": np.asarray(True), "reason": "",
        "reward": "feasibility", "humanoid": "smpl",
    }  # fmt: skip
    return Scores(**{**values, **changes})


def test_scores_of_a_clip():
    assert repr(scores()) == "Scores(feasibility, total 0.500, 1 axes, 1 terms, smpl)"
    assert str(scores()) == "feasibility on smpl\ntotal      0.5\ncontact    0.25\nfoot_slip  0.125"
    unknown = scores(total=np.float32(np.nan), valid=np.asarray(False), reason="too short")
    assert "not valid: too short" in repr(unknown) and str(unknown).endswith("not valid: too short")


def test_scores_of_a_batch():
    both = scores(
        total=np.array([0.5, np.nan]), axes={"contact": np.array([0.25, np.nan])}, terms={},
        valid=np.array([True, False]), reason=("", "too short"), frames={"total": np.arange(6.0).reshape(2, 3)},
    )  # fmt: skip
    assert "total of shape (2,)" in repr(both)
    assert str(both).splitlines()[2:] == ["   0      0.500      0.250", "   1  not valid: too short"]
    columns = both.to_dict()
    assert list(columns) == ["clip", "valid", "reason", "total", "contact"]
    assert {len(column) for column in columns.values()} == {2} and list(columns["reason"]) == ["", "too short"]
    rows = both.to_dict(frames=True)
    assert list(rows["clip"]) == [0, 0, 0, 1, 1, 1] and list(rows["frame"]) == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(rows["total"], np.arange(6.0))


def test_reprs_while_a_function_is_traced(humanoid):
    import jax

    motion = mjxhuman.motion_from_qpos(humanoid, np.repeat(humanoid.model.qpos0[None], 9, 0), 30.0)
    jax.eval_shape(lambda m, s: repr(m) and repr(s) and m.qpos, motion, scores())
