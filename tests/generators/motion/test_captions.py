"""Captions of recordings: tables, HumanML3D's texts, names of files; and those of mirror images."""

import json

import pytest

from mjxhuman.generators.motion.captions import Caption, load_captions, mirrored_text


def table(folder, *lines):
    path = folder / "captions.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def test_a_table_names_files_beside_it_and_parts_of_them(tmp_path):
    path = table(
        tmp_path, {"path": "a/walk.bvh", "text": " a person walks "}, "",
        {"path": "/data/b.amc", "text": "a jump", "start": 1, "end": 2.5},
    )  # fmt: skip
    first, second = load_captions(path)
    assert first == Caption(tmp_path / "a/walk.bvh", "a person walks")
    assert (str(second.path), second.start, second.end) == ("/data/b.amc", 1.0, 2.5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: expected a JSON object"),
        ("[1]", "line 1: expected a JSON object, found list"),
        ({"text": "a"}, "line 1: path: expected text, found None"),
        ({"path": "a", "text": " "}, "line 1: text: expected text, found ' '"),
        ({"path": "a", "text": "b", "start": 2, "end": 1}, "line 1: expected seconds 0 <= start < end, found 2 and 1"),
        ({"path": "a", "text": "b", "start": "x"}, "expected seconds"),
        ("", "expected captions, found none"),
    ],
)
def test_what_is_no_caption_is_named_by_line(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        load_captions(table(tmp_path, line))


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_captions(tmp_path / "none.jsonl")


def test_texts_of_humanml_find_their_recordings(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses" / "000001.npz").touch()
    (tmp_path / "texts" / "000001.txt").write_text(
        "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\nhe turns#he/PRON turn/VERB#1.0#2.5\n"
    )
    (tmp_path / "texts" / "000002.txt").write_text("nobody has this one#x#0.0#0.0\n")
    first, second = load_captions(tmp_path)
    assert first == Caption(tmp_path / "poses/000001.npz", "a man kicks.")
    assert (second.text, second.start, second.end) == ("he turns", 1.0, 2.5)
    (tmp_path / "texts" / "000001.txt").write_text("a man kicks\n")
    with pytest.raises(ValueError, match=r"000001.txt: line 1: expected caption#tokens#start#end"):
        load_captions(tmp_path)


def test_names_of_recordings_are_captions(tmp_path):
    for name in ("a_person_walks_2.bvh", "kick.npz", "notes.txt", "07.amc"):
        (tmp_path / name).touch()
    assert [caption.text for caption in load_captions(tmp_path)] == ["a person walks", "kick"]


def test_mirrors_exchange_sides():
    assert (
        mirrored_text("Left foot, then the RIGHT; turns clockwise.")
        == "Right foot, then the LEFT; turns counterclockwise."
    )
    assert mirrored_text("anticlockwise, leftover, bright") == "clockwise, leftover, bright"
