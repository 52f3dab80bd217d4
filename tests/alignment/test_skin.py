import numpy as np
import pytest

import mjxhuman
from mjxhuman.alignment import PARTS, seated, skin_of


@pytest.fixture(scope="module")
def skin():
    return skin_of(mjxhuman.load_humanoid())


def test_points_cover_every_part_by_area_with_normals_out_of_its_shapes(skin):
    model = mjxhuman.load_humanoid().model
    assert len(skin.body) >= 1000
    assert skin.names == tuple(PARTS)
    np.testing.assert_allclose(np.linalg.norm(skin.normal, axis=1), 1, atol=1e-9)
    for part in range(len(PARTS)):
        assert (skin.part == part).sum() >= 16 and ((skin.part == part) & skin.bearing).sum() >= 4
    geom = model.geom("L_Knee_skin").id
    own = skin.body == model.body("L_Knee").id
    radius, half = model.geom_size[geom, :2]
    outward = skin.offset[own] + 1e-3 * skin.normal[own]
    middle = model.geom_pos[geom]
    assert (np.linalg.norm(outward - middle, axis=1) > np.linalg.norm(skin.offset[own] - middle, axis=1)).mean() > 0.99
    density = [
        (skin.body == model.body(name).id).sum() / (4 * np.pi * r * (r + h))
        for name in ("L_Knee", "L_Shoulder")
        for r, h in [model.geom_size[model.geom(f"{name}_skin").id, :2]]
    ]
    assert density[0] == pytest.approx(density[1], rel=0.05)
    assert radius < np.linalg.norm(skin.offset[own] - middle, axis=1).max() < radius + half + 1e-6


def test_who_sits_bears_on_buttocks_and_the_sides_face_the_seat_and_the_backrest(skin):
    motion = seated(mjxhuman.load_humanoid(), 0.42)
    points, normals = skin.posed(motion.body_pos[0], motion.body_quat[0])

    def side(name):
        way = normals[(skin.part == skin.names.index(name)) & skin.bearing].mean(0)
        return way / np.linalg.norm(way)

    assert side("Pelvis")[2] < -0.9
    assert side("L_Thigh")[2] < -0.9
    assert side("Back")[0] < -0.9
    assert points[skin.part == 0, 2].min() == pytest.approx(0.42, abs=1e-4)
    feet = np.isin(skin.part, [skin.names.index("L_Foot"), skin.names.index("R_Foot")])
    assert -0.005 < points[feet, 2].min() < 0.03


def test_a_body_without_parts_is_refused():
    robot = mjxhuman.load_humanoid()
    object.__setattr__(bare := type(robot)(**robot.__dict__), "smpl_body_ids", None)
    with pytest.raises(ValueError, match="expected a body of SMPL's topology"):
        skin_of(bare)
