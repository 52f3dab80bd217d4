import numpy as np
import pytest

from mjxhuman.report.furniture import draw_scene, sheet
from mjxhuman.scenes.furniture.make import make_furniture


def test_a_sheet_fills_its_rows_with_white():
    dark, light = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 200, np.uint8)
    found = sheet([dark, light, light], 2)
    assert found.shape == (4, 6, 3)
    assert (found[:2, :3] == 0).all() and (found[2:, :3] == 200).all() and (found[2:, 3:] == 255).all()
    with pytest.raises(ValueError, match="pictures: expected one size, found"):
        sheet([dark, dark[:1]], 2)


def test_furniture_is_drawn_in_its_colour_where_it_stands(gl):
    stool = make_furniture("stool", 1)
    image = draw_scene(stool, size=(160, 120), colours=((0.9, 0.1, 0.1, 1.0),)).astype(int)
    red = (image[..., 0] > image[..., 1] + 60).mean()
    assert 0.05 < red < 0.5
    lying = draw_scene(stool, np.array([[0, 0, 0.3, 0.7071, 0, 0.7071, 0]]), size=(160, 120)).astype(int)
    assert np.abs(lying - image).mean() > 3
    with pytest.raises(ValueError, match=r"poses: expected \(1, 7\) of at least one object, found \(2, 7\)"):
        draw_scene(stool, np.zeros((2, 7)))
