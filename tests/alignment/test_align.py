"""A seated body is put onto a chair from inside it and from afar."""

import sys
import types

import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import PartContact, align_many, seated, skin_of
from mjxhuman.alignment.align import _finish, _in_time, _seats_first, _touches, _with_ends, case_of, problem_of
from mjxhuman.alignment.contacts import find_contacts, resting_contacts
from mjxhuman.alignment.measure import ContactFit
from mjxhuman.alignment.problem import has_surface, stack, tiles_of
from mjxhuman.alignment.solve import solve
from mjxhuman.interaction import fit_seat
from mjxhuman.recovery.load import load_motion
from mjxhuman.scenes.convex import box_corners

pytestmark = pytest.mark.compiled

align_module = sys.modules["mjxhuman.alignment.align"]  # the package has the function under this name
ON = [("Pelvis", "chair")]
SCENE = scene_of(chair(), at=[(-0.03, 0.0)])


def moved(motion, x, y, z):
    pos, qpos = np.array(motion.body_pos), np.array(motion.qpos)
    pos[:, 1:] += [x, y, z]
    qpos[:, :3] += [x, y, z]
    return motion.replace(qpos=qpos, body_pos=pos)


@pytest.fixture(scope="module")
def person():
    return seated(mjxhuman.load_humanoid(), SEAT)


def test_the_body_comes_to_sit_from_within_the_seat_and_from_behind_the_backrest(person):
    starts = [moved(person, 0, 0, -0.12), moved(person, -0.15, 0, 0.1), moved(person, 0.1, 0.2, 0.2)]
    found = align_many(starts, [SCENE] * 3, contacts=[ON] * 3)
    for start, result in zip(starts, found, strict=True):
        assert result.converged and result.valid and not result.reason
        assert result.penetration <= 0.005 and result.gap <= 0.005
        np.testing.assert_allclose(result.motion.qpos[:, :3], start.qpos[:, :3] + result.shift, atol=1e-6)
        distance = mjxhuman.signed_distance(result.scene, _skin(result.motion))
        assert -0.005 < float(distance.min()) < 0.005  # of the motion and the scene that are handed back
        assert result.scene.poses[0, 2] == 0
    other = align_many([starts[1], starts[0], starts[2]], [SCENE] * 3, contacts=[ON] * 3)
    np.testing.assert_array_equal(other[0].shift, found[1].shift)


def test_a_contact_needs_a_surface_that_faces_the_part(person):
    skin = skin_of(person.humanoid)
    points, normals = skin.posed(person.body_pos[:1], person.body_quat[:1])
    on = PartContact("Back", "chair")
    assert has_surface(on, SCENE, skin, points, normals, np.array([0]))
    aslant = np.broadcast_to(-np.ones(3) / np.sqrt(3), normals.shape)  # 55 degrees from every face of a box
    assert not has_surface(on, SCENE, skin, points, aslant, np.array([0]))


def _skin(motion):
    return skin_of(motion.humanoid).posed(motion.body_pos[0], motion.body_quat[0])[0].astype(np.float32)


def test_contacts_are_found_by_distance_and_kept_until_they_are_farther(person):
    skin = skin_of(person.humanoid)
    points, normals = skin.posed(person.body_pos[:1], person.body_quat[:1])
    rise = np.array([0.13, 0.08, 0.0, 0.08, 0.13, 0.2, 0.13, 0.3])
    posed = points + rise[:, None, None] * [0.0, 0, 1], np.repeat(normals, len(rise), 0)
    found = {c.part: c for c in find_contacts(SCENE, skin, *posed)}
    assert found["Pelvis"] == PartContact("Pelvis", "chair", 0, 5)
    assert "L_Thigh" in found and "Head" not in found and "L_Foot" not in found
    calf = points[0, (skin.part == skin.names.index("L_Shank")) & skin.bearing, 0].min()
    front = np.max(SCENE.objects[0].points[:, 0]) + SCENE.poses[0, 0]
    close = points + [front + 0.05 - calf, 0, 0]  # no load on it: it hangs before the seat
    assert "L_Shank" not in {c.part for c in find_contacts(SCENE, skin, close, normals)}


#: Someone comes down to a seat, hardly moves for a second and rises: s and m.
TIMES, HEIGHTS = [0.0, 0.6, 1.6, 2.0, 3.0], [0.4, 0.0, 0.004, 0.3, 0.3]


def rising(person, offset, fps=50.0):
    """The person at ``HEIGHTS`` over where he sits, and where that is, ``offset`` m over the seat."""
    height = np.interp(np.arange(int(TIMES[-1] * fps)) / fps, TIMES, HEIGHTS)
    qpos = np.repeat(np.asarray(person.qpos[:1]), len(height), 0)
    qpos[:, 2] += height + offset
    return mjxhuman.motion_from_qpos(person.humanoid, qpos, fps)


@pytest.mark.parametrize("offset", [0.06, 0.0, -0.12])
def test_a_part_touches_what_it_rests_on_until_it_leaves_that_height(person, offset):
    """Over the seat, on it and deep in it: not while it comes and goes, though it is nearer than 15 cm."""
    motion, skin = rising(person, offset), skin_of(person.humanoid)
    pos, quat = np.asarray(motion.body_pos), np.asarray(motion.body_quat)
    frames = np.linspace(0, motion.num_frames - 1, 12).astype(int)
    found = resting_contacts(SCENE, skin, pos, quat, frames)
    pelvis = [c for c in found if c.part == "Pelvis"]
    assert len(pelvis) == 1
    assert abs(pelvis[0].start - 29.5) <= 2 and abs(pelvis[0].stop - 80) <= 2, pelvis  # by 10 mm it has gone 0.02 s
    others = {c.part: c for c in found if c.part.endswith("Thigh")}
    assert set(others) == ({"L_Thigh", "R_Thigh"} if offset >= 0 else set())  # deep in it they are under the seat
    assert all(pelvis[0].start <= c.start < c.stop <= pelvis[0].stop for c in others.values())


def test_frames_in_which_contacts_begin_and_end_are_looked_at(person):
    frames = np.array([0, 10, 20, 30, 40])
    contacts = [PartContact("Pelvis", "chair", 12, 27), PartContact("Back", "chair", 13)]
    np.testing.assert_array_equal(_with_ends(frames, contacts), [0, 12, 20, 26, 40])
    case = case_of(rising(person, 0.05), SCENE, None)
    ends = {frame for c in case.contacts if c.part == "Pelvis" for frame in (c.start, c.stop - 1)}
    assert len(ends) == 2 and ends <= set(case.frames)
    np.testing.assert_allclose(problem_of(case).interval[1:], np.diff(case.frames) / 50.0)
    between = _in_time(case, np.where(np.arange(len(case.frames)) > 8, 0.05, 0.0))
    assert between.min() == 0 and between.max() == 0.05  # what holds at two frames holds between them


def test_who_is_near_nothing_stays_where_he_is_and_is_told(person):
    result = mjxhuman.align(moved(person, 3, 0, 0), SCENE)
    assert not result.converged and not result.valid and "name the contacts" in result.reason
    np.testing.assert_array_equal(result.shift, 0)


def test_who_sits_with_legs_in_a_block_has_not_converged(person):
    block = chair("block", [box_corners([0.1, 0.4, 0.3], [0, 0, 0.3])])
    sits = moved(person, 0.02, 0, 0)
    for x, message in [(3.0, ""), (0.5, "body: expected a depth of at most 0.005 m, found")]:
        found = _finish(case_of(sits, scene_of(chair(), block, at=[(-0.03, 0), (x, 0)]), ON), None)
        assert found.contacts[0].holds and found.converged is not bool(message)
        assert found.reason[: len(message)] == message


@pytest.mark.parametrize(("low", "flaw"), [(0.0, "feet: 38 mm short"), (0.2, "")])
def test_furniture_that_does_not_stand_for_its_mesh_or_stands_in_the_floor_is_not_valid(person, low, flaw):
    scene = scene_of(chair().replace(unfit=flaw), at=[(-0.03, 0)])
    scene.poses[0, 2] -= low
    found = _finish(case_of(moved(person, 0.02, 0, -low), scene, ON), None)
    assert found.converged and not found.valid
    assert found.reason == (f"chair: {flaw}" if flaw else "chair: expected it on the floor, found it 0.200 m under it")


def test_who_sits_comes_to_the_seat_first_and_touches_what_is_near_there(person):
    """What else of the chair was near at the start does not pull, what is on other things does."""
    table = chair("table", [box_corners([0.3, 0.3, 0.02], [0, 0, 0.7])])
    pairs = [("Pelvis", "chair"), ("Back", "chair"), ("L_Thigh", "chair"), ("L_Hand", "table")]
    case = case_of(moved(person, 0.02, 0, 0), scene_of(chair(), table, at=[(-0.03, 0), (0.5, 0)]), pairs)
    first = _seats_first(case)
    assert [c.part for c in first.contacts] == ["Pelvis", "L_Hand"]
    assert [f.contact.part for f in _finish(case, None).contacts if _touches(f)][:3] == ["Pelvis", "L_Thigh"]
    without = case._replace(contacts=case.contacts[1:])
    assert _seats_first(without).contacts == without.contacts


@pytest.mark.slow
def test_contacts_beside_the_seat_count_only_where_all_can_be_had(person, monkeypatch):
    """A head that cannot come to the chair of who sits on it does not pull the person off the seat."""
    both = (PartContact("Pelvis", "chair", 0, 1), PartContact("Head", "chair", 0, 1))
    monkeypatch.setattr(align_module, "find_contacts", lambda *_: both)
    monkeypatch.setattr(align_module, "_touches", lambda _: True)
    found = mjxhuman.align(moved(person, 0.02, 0, 0.05), SCENE)
    assert found.converged and [fit.contact.part for fit in found.contacts] == ["Pelvis"]
    assert not mjxhuman.align(moved(person, 0.02, 0, 0.05), SCENE, contacts=both).converged


def test_a_motion_that_is_not_finite_is_refused(person):
    pos = np.array(person.body_pos)
    pos[1] = np.nan
    with pytest.raises(ValueError, match="motion: expected finite"):
        mjxhuman.align(person.replace(body_pos=pos), SCENE, contacts=ON)


@pytest.mark.slow
def test_padding_changes_no_solution(person):
    start = moved(person, -0.1, 0.05, 0.1)
    wide = scene_of(
        chair("chair"), chair("table", [box_corners([0.3, 0.3, 0.02], [0, 0, 0.7])]), at=[(-0.03, 0), (2, 0)]
    )
    problems = [problem_of(case_of(start, scene, ON)) for scene in (SCENE, wide)]
    part = tuple(tiles_of(skin_of(person.humanoid)).part.tolist())
    alone, costs = solve(stack(problems[:1]), part)
    both, padded = solve(stack(problems), part)
    np.testing.assert_allclose(padded[0], costs[0], rtol=1e-3)
    np.testing.assert_allclose(both["person"][0], alone["person"][0], atol=1e-4)
    np.testing.assert_allclose(both["object"][0, :1], alone["object"][0], atol=1e-4)
    assert not np.asarray(both["object"][0, 1]).any()


@pytest.mark.slow
def test_a_clip_has_one_pose_of_the_chair_and_a_smooth_correction(person):
    count = 40
    fall = np.interp(np.arange(count), [0, 20], [0.4, -0.08])  # comes down in front of the seat and into it
    qpos = np.repeat(np.asarray(person.qpos[:1]), count, 0)
    qpos[:, 2] += fall
    motion = mjxhuman.motion_from_qpos(person.humanoid, qpos, 30.0)
    found = mjxhuman.align(motion, SCENE, contacts=[PartContact("Pelvis", "chair", 20)])
    assert found.converged, found.reason
    assert np.abs(np.diff(found.shift, axis=0)).max() < 0.02
    np.testing.assert_allclose(found.shift[30, 2], 0.08, atol=0.01)
    assert found.scene.poses.shape == (1, 7) and found.motion.num_frames == count


def test_a_short_contact_keeps_a_frame_where_others_make_room(person):
    """Frames beside a deep one make room for it, unless a contact has no other."""
    motion = mjxhuman.motion_from_qpos(person.humanoid, np.repeat(np.asarray(person.qpos[:1]), 140, 0), 30.0)
    motion = motion.replace(body_pos=np.asarray(motion.body_pos) + 0.01 * (np.arange(140) == 0)[:, None, None])
    short = PartContact("Pelvis", "chair", 66, 68)
    holds = ContactFit(short, 0.0, 0.0, True, True)
    for contacts, some in (([short], True), ([PartContact("Pelvis", "chair")], False)):
        case = case_of(motion, SCENE, contacts)
        depths = np.where(np.arange(140) == 69, 0.02, 0.0)
        found = align_module._looking_between([case], [types.SimpleNamespace(depths=depths, contacts=(holds,))])[0]
        assert 69 in found.frames and {0, 139} <= set(found.frames)
        assert short.during(found.frames).any() == some
        assert len(found.points) == len(found.frames)


@pytest.mark.slow
def test_depth_between_the_frames_looked_at_is_seen_and_mended(person, monkeypatch):
    """Who sinks for a moment of 140 frames, of which 24 are looked at, sinks there no more."""
    count = 140
    qpos = np.repeat(np.asarray(person.qpos[:1]), count, 0)
    qpos[:, 2] -= 0.03 * np.exp(-(((np.arange(count) - 69) / 1.5) ** 2))
    motion = mjxhuman.motion_from_qpos(person.humanoid, qpos, 30.0)
    assert 69 not in case_of(motion, SCENE, ON).frames
    found = mjxhuman.align(motion, SCENE, contacts=ON)
    assert found.converged and found.depths.max() <= found.penetration < 0.005, found.reason
    monkeypatch.setattr(align_module, "_AGAIN", 0)
    before = mjxhuman.align(motion, SCENE, contacts=ON)
    assert not before.converged and "body: expected a depth" in before.reason
    assert abs(int(before.depths.argmax()) - 69) <= 2 and before.depths.max() > 0.01


@pytest.mark.slow
def test_who_rises_five_times_sits_on_the_seat_between_and_stands_where_he_stood(shared):
    motion = load_motion(shared / "data" / "grf" / "opencap_subject4" / "STS1_markers.trc")
    found = mjxhuman.align(motion, fit_seat(motion))
    assert found.converged, found.reason
    assert [fit.contact.part for fit in found.contacts].count("Pelvis") == 6
    hips = np.asarray(motion.body_pos)[:, 1, 2]
    assert np.abs(found.shift[hips > hips.max() - 0.05, 2]).max() < 0.01  # m
    assert np.abs(np.diff(found.shift, 2, axis=0)).max() * motion.fps**2 < 2.0  # m/s^2


@pytest.mark.slow
def test_the_chair_may_turn_and_change_its_size(person):
    found = mjxhuman.align(moved(person, 0, 0, -0.05), SCENE, contacts=ON, yaw=True, scale=True)
    assert found.converged, found.reason
    grown = np.ptp(found.scene.objects[0].parts.vertices[0], axis=0) / np.ptp(
        SCENE.objects[0].parts.vertices[0], axis=0
    )
    np.testing.assert_allclose(grown, grown[0], rtol=1e-6)
    assert 0.9 < grown[0] < 1.0  # to the person, who sits too low


@pytest.mark.slow
@pytest.mark.parametrize("method", ["paper", "smooth"])
def test_methods_to_compare_with_run_and_are_judged_alike(person, method):
    result = mjxhuman.align(moved(person, 0, 0, -0.06), SCENE, contacts=ON, method=method)
    assert np.isfinite(result.shift).all() and not result.converged and "Pelvis on chair" in result.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contacts": [("Tail", "chair")]}, "part: expected one of Pelvis"),
        ({"contacts": [("Pelvis", "sofa")]}, "object: expected one of chair, found 'sofa'"),
        ({"contacts": [PartContact("Pelvis", "chair", 9)]}, "expected frames below 3, found 9"),
        ({"contacts": [PartContact("Pelvis", "chair", 2, 1)]}, "0 <= start < stop"),
        ({"method": "magic"}, "method: expected one of ours, paper, smooth"),
        ({"method": "paper", "yaw": True}, "expected 'ours'"),
        ({"contacts": ("Pelvis", "chair")}, "expected pairs of a part and an object, found 'Pelvis'"),
        ({"scene": scene_of()}, "expected objects"),
        ({"scene": scene_of(chair(), chair())}, "several of 'chair'"),
        ({"scene": SCENE.replace(poses=np.full((1, 7), np.nan))}, "poses: expected finite"),
        ({"scene": SCENE.replace(poses=np.zeros((1, 7)))}, "unit quaternions, found lengths of 0"),
        ({"scene": SCENE.replace(poses=SCENE.poses[None])}, r"poses \(O, 7\)"),
    ],
)
def test_what_cannot_be_aligned_is_refused(person, change, message):
    with pytest.raises(ValueError, match=message):
        mjxhuman.align(person, **({"scene": SCENE, "contacts": ON} | change))
