"""``mjxhuman scene``."""

from mjxhuman.cli import main
from mjxhuman.cli.scene import line

KEYS = {
    "valid", "type", "penetration_m", "gap_m", "seat_load_bw", "feet_load_bw", "internal_load_bw", "object_moved_m",
    "object_tilt_deg", "reason",
}  # fmt: skip


def test_verdicts_in_words():
    row = dict.fromkeys(KEYS) | {
        "valid": True,
        "type": 4,
        "reason": "at rest",
        "seat_load_bw": 0.9,
        "feet_load_bw": 0.1,
    }
    assert line(row) == "type 4, holds: at rest; furniture carries 0.90, feet 0.10 body weights"
    assert line(row | {"valid": False, "type": 0, "reason": "unfit start"}) == "no verdict: unfit start"


def test_what_is_missing_is_named_before_anything_is_computed(tmp_path, capsys):
    assert main(["scene", "chair:1", "--motion", str(tmp_path / "none.bvh")]) == 2
    assert "none.bvh: no such file" in capsys.readouterr().err
