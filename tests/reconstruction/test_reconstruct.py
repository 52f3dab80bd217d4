"""From keypoints to a simulated walk: what is simulated can be replayed, what is lost is said, bad input is named."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.data.cameras import read_camera
from mjxhuman.data.keypoints import read_detections
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.motion import resample
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning import Settings
from mjxhuman.planning.search import Snapshot
from mjxhuman.planning.terms import Outlook, features, residuals
from mjxhuman.reconstruction import METHODS, measure, methods, reconstruct
from mjxhuman.reconstruction.combined import Handover, Retried
from mjxhuman.reconstruction.estimate import Estimate, estimate_of, held_by_others
from mjxhuman.reconstruction.methods import Moved, method_of
from mjxhuman.reconstruction.objective import VIDEO_TERMS
from mjxhuman.reconstruction.reconstruct import _motion, follow
from mjxhuman.reconstruction.result import Reconstruction
from mjxhuman.reconstruction.sight import sight_of
from mjxhuman.reconstruction.start import LEAN, candidates, start_state
from mjxhuman.report.reconstruction import clips_of
from mjxhuman.types import Keypoints

pytestmark = pytest.mark.compiled

KEYPOINTS = Path(__file__).parents[2] / "examples" / "walk_keypoints.npz"
#: Small enough for a second or two of a core.
SMALL = Settings(samples=12, improvements=2, horizon=8)


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    return estimate_of(KEYPOINTS, None, None, 30.0)


@pytest.fixture(scope="module")
def short(estimate) -> Estimate:
    """Its first 0.7 s."""
    return estimate.cut(0, 21)


@pytest.fixture(scope="module")
def walked(short) -> Reconstruction:
    method = methods.PlannerMethod(SMALL)
    takes = follow(short, method, 0)
    motion = _motion(short.motion, takes)
    return Reconstruction("plan", motion, short.motion, takes, short, method.simulator(motion.humanoid), "", 1.0)


class Copied:
    """Moves the body as the estimate goes for so many frames, then leaves it on its back."""

    name, humanoid = "copied", None

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def simulator(self, humanoid):
        raise NotImplementedError

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        qpos, qvel = (np.array(x, np.float64) for x in (estimate.motion.qpos, estimate.motion.qvel))
        qpos[self.frames :, 2] = 0.1
        qpos[self.frames :, 3:7] = (0.5, -0.5, 0.5, -0.5)
        return Moved(qpos, qvel, np.zeros((len(qpos) - 1, 69)), np.zeros_like(qvel))


def test_the_body_walks_as_the_pixels_say(walked):
    numbers = walked.numbers
    assert walked.success and walked.restarts == () and numbers["lost_frames"] == 0
    assert numbers["reprojection_px"] < 8.0 and numbers["to_estimate_mm"] < 80.0  # of a person 188 px tall
    assert numbers["float_mm"] < 10.0 and numbers["penetration_mm"] < 20.0
    assert numbers["frames"] == 21 and numbers["score"] > 0.5
    # the page says what changed from the first to the second
    assert [clip.name for clip in clips_of(walked)] == ["estimate", "simulated by plan"]


def test_files_are_replayed_by_mujoco_alone(walked, tmp_path):
    """From the exact model, the first state and the controls; and the files are motions that are read again."""
    paths = walked.save(tmp_path)
    file = np.load(paths["motion"])
    model = mujoco.MjModel.from_binary_path(str(paths["model"]))
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = file["start_qpos"], file["start_qvel"]
    for ctrl, expected in zip(file["ctrl"], file["qpos"][1:], strict=True):
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data, int(file["substeps"]))
        np.testing.assert_allclose(data.qpos, expected, atol=1e-6)
    again = mjxhuman.load_motion(paths["motion"])
    np.testing.assert_allclose(np.asarray(again.qpos), np.asarray(walked.motion.qpos), atol=1e-6)
    np.testing.assert_array_equal(walked.replayed()[0], walked.takes[0].qpos)
    assert read_camera(paths["camera"]).image_size == walked.camera.image_size


def test_where_the_body_is_lost_it_starts_anew_and_that_is_said(short, tmp_path):
    takes = follow(short, Copied(8), 0)
    motion = _motion(short.motion, takes)
    valid = np.asarray(motion.valid)
    # on its back from frame 8 on, which is certain after a quarter of a second: a new start at frame 16
    assert [take.first for take in takes] == [0, 16]
    assert valid[:8].all() and not valid[8:16].any() and valid[16:].all()
    found = Reconstruction("copied", motion, short.motion, takes, short, None, "", 1.0)
    assert not found.success and found.restarts == (16,) and found.lost_frames == 8
    assert found.distances[valid].max() < 1e-3 and found.distances[~valid].min() > 0.5
    again = mjxhuman.load_motion(found.save(tmp_path)["motion"])
    np.testing.assert_array_equal(np.asarray(again.valid), valid)


class Marked(Copied):
    """``Copied`` where every control and warm start says who it was and which frame of the whole."""

    def __init__(self, frames: int, mark: float) -> None:
        super().__init__(frames)
        self.mark, self.asked = mark, []

    def follow(self, estimate, start, seed):
        moved = super().follow(estimate, start, seed)
        self.asked.append((estimate.first, estimate.motion.num_frames, float(start.warmstart[0])))
        number = self.mark + estimate.first + np.arange(len(moved.qpos), dtype=float)
        return moved._replace(ctrl=moved.ctrl + number[:-1, None], warmstart=moved.qvel * 0.0 + number[:, None])


def handed(first: Copied, then: Copied) -> Handover:
    both = Handover(first, then)
    both.simulator = lambda _: None
    return both


def test_another_method_takes_over_before_the_body_is_lost(estimate):
    """Off in frame 30: from frame 15 on the other one for 45 frames, then the first one again."""
    first, then = Marked(30, 1000.0), Marked(999, 2000.0)
    frames = estimate.motion.num_frames
    assert frames == 75
    start = Snapshot(*(np.asarray(x[0], float) for x in (estimate.motion.qpos, estimate.motion.qvel)), np.zeros(75))
    moved = handed(first, then).follow(estimate, start, 0)
    assert then.asked == [(15, 45, 1015.0)]
    assert first.asked == [(0, 75, 0.0), (59, 16, 2059.0)]  # the last state of the other one is its first
    np.testing.assert_array_equal(moved.ctrl[:, 0], np.arange(74) + np.repeat([1000.0, 2000.0, 1000.0], [15, 44, 15]))
    assert len(moved.qpos) == len(moved.qvel) == len(moved.warmstart) == frames
    np.testing.assert_allclose(moved.qpos, np.asarray(estimate.motion.qpos), atol=1e-6)


def test_it_moves_the_body_to_the_end_where_that_is_near_and_may_be_lost_itself(estimate):
    start = Snapshot(*(np.asarray(x[0], float) for x in (estimate.motion.qpos, estimate.motion.qvel)), np.zeros(75))
    near = Marked(999, 2000.0)
    assert len(handed(Marked(55, 0.0), near).follow(estimate, start, 0).qpos) == 75
    assert [(first, count) for first, count, _ in near.asked] == [(40, 35)]
    early = Marked(999, 2000.0)  # there is no going back beyond the start
    handed(Marked(6, 0.0), early).follow(estimate, start, 0)
    assert [first for first, *_ in early.asked] == [0, 44]


def test_a_lost_body_is_started_again_and_the_longest_try_is_kept(short):
    class Lasts(Copied):
        """So many frames, by try."""

        def __init__(self, *frames: int) -> None:
            self.left, self.starts = list(frames), []

        def follow(self, estimate, start, seed):
            self.frames = self.left.pop(0)
            self.starts.append(start.qvel)
            return super().follow(estimate, start, seed)

        simulator = None

    start = Snapshot(*(np.asarray(x[0], float) for x in (short.motion.qpos, short.motion.qvel)), np.zeros(75))
    often = Lasts(5, 12, 8)
    moved = Retried(often, 3).follow(short, start, 0)
    assert np.flatnonzero(moved.qpos[:, 2] == 0.1)[0] == 12 and not often.left
    np.testing.assert_array_equal(often.starts[0], start.qvel)
    off = np.std([x - start.qvel for x in often.starts[1:]])
    assert 0.08 < off < 0.12 and not np.array_equal(*often.starts[1:])
    once = Lasts(99, 5)
    Retried(once, 3).follow(short, start, 0)
    assert once.left == [5]  # nothing to try again
    with pytest.raises(ValueError, match="tries: expected 1 or more, found 0"):
        Retried(once, 0)


def test_methods_of_different_bodies_do_not_take_turns(short):
    class Of(Copied):
        def simulator(self, humanoid):
            return methods.PlannerMethod(SMALL).simulator(humanoid)

    class Other(Of):
        def simulator(self, humanoid):
            return make_simulator(actuated_humanoid(humanoid))

    with pytest.raises(ValueError, match=r"copied\+copied: expected two methods for one body, found tuning"):
        Handover(Of(1), Other(1)).simulator(short.motion.humanoid)


def test_rays_pass_where_the_detector_saw_the_points(estimate):
    """The fit's own points lie near their rays; one that is moved away from the camera along them stays on them."""
    sight, motion = estimate.sight, estimate.motion
    assert sight.ray.shape == (1, len(sight.names), 3, motion.num_frames)
    seen = sight.weight > 0
    assert np.median(measure.residuals(sight, motion)[0][seen]) < 0.02
    assert np.nanmedian(measure.reprojection(sight, motion)) == pytest.approx(
        np.nanmedian(estimate.recovery.reprojection), rel=0.3
    )
    ahead = sight.ray[0].mean(0).T
    moved = motion.replace(body_pos=np.asarray(motion.body_pos) + 0.1 * ahead[:, None])
    aside = motion.replace(body_pos=np.asarray(motion.body_pos) + 0.1 * np.cross(ahead, [0.0, 0.0, 1.0])[:, None])
    along, across = (np.median(measure.residuals(sight, m)[0][seen]) for m in (moved, aside))
    assert along < 0.03 and across > 0.08


def test_sides_that_the_fit_exchanged_are_exchanged_in_the_rays(estimate):
    found = read_detections(KEYPOINTS)
    points = np.array([people[0] for people in found.people])
    sides = {"L": "R", "R": "L"}
    other = [found.names.index(sides.get(name[0], name[0]) + name[1:]) for name in found.names]
    motion, recovery = resample(estimate.motion, found.fps), estimate.recovery
    swapped = np.ones_like(recovery.swapped)
    rays = [
        sight_of(Keypoints(p[..., :2], p[..., 2], found.names, found.fps, found.image_size), motion, fit, 30.0).ray
        for p, fit in ((points, recovery), (points[:, other], dataclasses.replace(recovery, swapped=swapped)))
    ]
    assert not recovery.swapped.any()
    np.testing.assert_allclose(rays[1], rays[0], atol=1e-6)


def test_a_plan_is_asked_to_stay_near_the_rays_and_less_so_along_them(short):
    """Of two bodies as far from the fit the one that is seen where the pixels are costs less; feet that slide cost."""
    motion = short.motion
    feet = tuple(motion.humanoid.body_names.index(name) - 1 for name in ("L_Ankle", "R_Ankle"))
    there = features(motion.humanoid, np.asarray(motion.qpos), np.asarray(motion.qvel))
    there = jax.tree.map(lambda x: x[..., None, :], there)  # one sample, frames as steps
    seen = jax.tree.map(lambda x: jnp.asarray(x)[..., None, :], short.sight)
    ahead = np.asarray(short.sight.ray)[0].mean(0)[:, None]
    flat = ahead * np.array([1.0, 1.0, 0.0])[:, None, None]
    aside = np.cross(ahead, [0.0, 0.0, 1.0], axisa=0, axisc=0)

    def cost(body):
        look = Outlook(body, there, jnp.zeros((69, 1, motion.num_frames)), feet, seen)
        return float(jnp.sum(residuals(VIDEO_TERMS, look) ** 2))

    still, along, across = (cost(there.replace(pos=there.pos + 0.05 * way)) for way in (0 * flat, flat, aside))
    assert still < along < across and across - along > 0.5
    standing = there.replace(linvel=0 * there.linvel)
    look = Outlook(there, standing, jnp.zeros((69, 1, motion.num_frames)), feet, seen)
    without = {name: term for name, term in VIDEO_TERMS.items() if name != "standing_feet"}
    assert jnp.sum(residuals(VIDEO_TERMS, look) ** 2) > 1.05 * jnp.sum(residuals(without, look) ** 2)


def test_the_start_that_stays_nearest_to_the_rays_is_taken(short):
    """Of starts that a method moves by how far they lean: the upright ones stay with the fit."""

    class Slides(Copied):
        def follow(self, estimate, start, seed):
            moved = super().follow(estimate, start, seed)
            leant = np.abs(start.qpos[3:7] - np.asarray(short.motion.qpos[0, 3:7])).max() > 1e-3
            moved.qpos[:, :2] += 0.0 if leant else 0.2
            return moved

    state = start_state(short, Slides(99), 0)
    assert np.abs(state.qpos[3:7] - np.asarray(short.motion.qpos[0, 3:7])).max() > 1e-3


def test_starts_lean_about_the_floor(short):
    motion = short.motion
    first = Snapshot(np.asarray(motion.qpos[0]), np.asarray(motion.qvel[0]), np.zeros(75))
    starts = candidates(first, short)
    assert len(starts) == 4
    turned = [2.0 * np.arccos(min(1.0, abs(float(s.qpos[3:7] @ first.qpos[3:7])))) for s in starts]
    np.testing.assert_allclose(turned, [0.0, 0.0, LEAN, LEAN], atol=2e-3)
    towards = (starts[3].qpos - starts[2].qpos)[:3] @ short.sight.ray[0].mean(0)[:, 0]
    assert abs(towards) == pytest.approx(2 * LEAN * first.qpos[2], rel=0.2)


def test_who_is_carried_by_something_else_is_refused(short):
    """A walk 30 cm up in the air, and the walk itself."""
    qpos = np.array(short.motion.qpos)
    qpos[:, 2] += 0.3
    floating = mjxhuman.motion_from_qpos(short.motion.humanoid, qpos, 30.0)
    assert held_by_others(short.motion) == ""
    assert "something that is not the floor carries the body from 0.00 to 0.70 s" in held_by_others(floating)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected one of fit, track, plan, policy, policy\+plan, found 'slam'"):
        reconstruct(KEYPOINTS, method="slam")
    with pytest.raises(ValueError, match=r"walk.bvh: expected a video or 2D keypoints, found another file"):
        reconstruct(KEYPOINTS.parent / "walk.bvh")
    with pytest.raises(FileNotFoundError, match=r"none.mp4"):
        reconstruct(tmp_path / "none.mp4")
    found = read_detections(KEYPOINTS)
    upper = [k for k, name in enumerate(found.names) if not name.lower().endswith("ankle")]
    points = np.array([people[0] for people in found.people])[:, upper]
    names = tuple(found.names[k] for k in upper)
    keypoints = Keypoints(points[..., :2], points[..., 2], names, 30.0, found.image_size)
    with pytest.raises(ValueError, match=r"keypoints: expected LAnkle, RAnkle among the names"):
        reconstruct(keypoints)
    with pytest.raises(ValueError, match=r"camera: expected a Camera beside keypoints, found cams.toml"):
        reconstruct(dataclasses.replace(keypoints, names=found.names), camera="cams.toml")


def test_methods_are_named_and_added():
    assert method_of("fit") is None
    methods.register("copied", Copied)
    try:
        made = method_of("copied", frames=3)
        assert isinstance(made, Copied) and made.frames == 3 and method_of(made) is made
    finally:
        del METHODS["copied"]


def test_who_is_lost_on_the_way_is_exit_code_1(short, tmp_path, monkeypatch, capsys):
    takes = follow(short, Copied(8), 0)
    lost = Reconstruction("copied", _motion(short.motion, takes), short.motion, takes, short, None, "", 1.0)
    command = importlib.import_module("mjxhuman.cli.reconstruct")
    monkeypatch.setattr(command, "reconstruct", lambda *_, **__: lost)
    monkeypatch.setattr(command, "write", lambda *_: {})
    assert main(["reconstruct", str(KEYPOINTS), "--method", "fit", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert any("8 frames lost; put back into the estimate at 0.53 s" in line for line in said)
    line = json.loads(said[-1])
    assert line["valid"] and not line["success"] and line["restarts"] == [0.533]


def test_the_command(tmp_path, capsys):
    """``fit`` needs no simulation: files, the last line, exit codes."""
    assert (
        main(["reconstruct", str(KEYPOINTS), "--method", "fit", "--out", str(tmp_path), "--json", "--picture", "none"])
        == 0
    )
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["valid"] and line["success"] and line["method"] == "fit" and line["to_estimate_mm"] == 0.0
    assert line["reprojection_px"] == line["estimate_reprojection_px"] < 3.0
    for name in ("motion.npz", "estimate.npz", "camera.json", "smpl.npz", "report.html"):
        assert (tmp_path / name).is_file()
    walk = str(KEYPOINTS.parent / "walk.bvh")
    assert main(["reconstruct", walk, "--out", str(tmp_path), "--method", "fit"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["valid"] is False and "walk.bvh: expected a video" in said.err
    assert main(["reconstruct", str(KEYPOINTS), "--out", str(tmp_path), "--method", "fit", "--preset", "fast"]) == 2
    assert "--preset: expected a method that takes it, found --method fit" in capsys.readouterr().err
