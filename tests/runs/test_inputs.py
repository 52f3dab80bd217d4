from __future__ import annotations

import pytest

from mjxhuman.runs import expand_inputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.bvh", "b.bvh", "deep/er/c.bvh", "deep/d.npz", "odd[1],x.npz", "deep/note.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("a.bvh", ["a.bvh"]),
        ("*.bvh", ["a.bvh", "b.bvh"]),
        ("**/*.bvh", ["a.bvh", "b.bvh", "deep/er/c.bvh"]),
        ("b.bvh, *.bvh", ["b.bvh", "a.bvh"]),
        (["b.bvh", "a.bvh", "b.bvh"], ["b.bvh", "a.bvh"]),
        ("odd[1],x.npz", ["odd[1],x.npz"]),
        ("deep", ["deep/d.npz", "deep/er/c.bvh"]),
        ("", []),
    ],
)
def test_expand(folder, inputs, expected):
    assert [str(path) for path in expand_inputs(inputs, motions)] == expected


def motions(folder):
    return [path for path in sorted(folder.rglob("*")) if path.suffix in (".bvh", ".npz")]


def test_absolute_pattern(folder):
    assert expand_inputs(f"{folder}/deep/**/*.bvh") == [folder / "deep" / "er" / "c.bvh"]


@pytest.mark.parametrize("inputs", ["absent.bvh", "*.fbx", "a.bvh,absent.bvh"])
def test_nothing_matches(folder, inputs):
    with pytest.raises(FileNotFoundError, match=r"(absent.bvh|\*.fbx): no such file"):
        expand_inputs(inputs)


def test_a_folder_is_refused_where_none_is_taken(folder):
    with pytest.raises(IsADirectoryError, match="deep: expected a file or a pattern, found a folder"):
        expand_inputs("deep")
