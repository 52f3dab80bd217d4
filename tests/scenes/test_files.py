"""Height fields in files."""

import numpy as np
import pytest

from mjxhuman.scenes import load_surface
from mjxhuman.scenes.surface import FRICTION, measure

GOOD = {"heights": np.array([[0.0, 0.0, 0.0], [0.3, 0.3, 0.3]]), "origin": (1.0, 2.0), "spacing": 0.5}


def test_what_was_saved_carries(tmp_path):
    np.savez(tmp_path / "ramp.npz", **GOOD)
    found = measure(load_surface(tmp_path / "ramp.npz"), [[1.25, 2.5, 0.15], [9.0, 9.0, 0.4]])
    np.testing.assert_allclose(found.distance, [0.0, 0.1], atol=1e-9)
    assert found.friction == FRICTION
    np.savez(tmp_path / "ice.npz", **GOOD, friction=0.05)
    assert measure(load_surface(tmp_path / "ice.npz"), np.zeros(3)).friction == 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing": None}, "expected the arrays heights, origin, spacing, missing spacing"),
        ({"heights": np.zeros((1, 5))}, r"heights: expected shape \(X, Y\), at least 2 x 2, found \(1, 5\)"),
        ({"heights": np.full((2, 2), np.nan)}, "heights: expected finite numbers, found nan"),
        ({"origin": np.zeros(3)}, r"origin: expected shape \(2,\), found \(3,\)"),
        ({"spacing": 0.0}, "spacing: expected a number above 0, found 0"),
        ({"friction": -0.1}, "friction: expected a number of 0 or more, found -0.1"),
        ({"heights": np.array([["a", "b"], ["c", "d"]])}, "expected an .npz with heights, origin, spacing"),
    ],
)
def test_what_is_no_surface_is_named(tmp_path, change, message):
    arrays = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"bad\.npz: {message}"):
        load_surface(tmp_path / "bad.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.npz").write_text("heights")
    with pytest.raises(ValueError, match="with heights, origin, spacing"):
        load_surface(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_surface(tmp_path / "b.npz")
