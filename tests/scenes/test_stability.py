import dataclasses
import time

import numpy as np
import pytest

import mjxhuman
from mjxhuman.math import quaternion
from mjxhuman.scenes import stability as module
from mjxhuman.scenes.convex import pack
from mjxhuman.scenes.decomposition.hulls import with_corners
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.furniture.pieces import box, mesh_of
from mjxhuman.scenes.margin import edge_distance, static_margin, support
from mjxhuman.scenes.objects import make_object
from mjxhuman.scenes.stability import drop, stability
from mjxhuman.scenes.types import Scene, resting

LEGS = {"front left": (1, 1), "front right": (1, -1), "back left": (-1, 1), "back right": (-1, -1)}


def chair(*missing: str, back: float = 0.4) -> Scene:
    """45 cm square, 43 cm legs, a back of some height; people face +x."""
    pieces = [box("seat", (-0.225, -0.225, 0.43), (0.225, 0.225, 0.46))]
    pieces.append(box("back", (-0.225, -0.225, 0.46), (-0.205, 0.225, 0.46 + back)))
    for name, (x, y) in LEGS.items():
        if name not in missing:
            low, high = np.sort([[x * 0.225, y * 0.225], [x * 0.185, y * 0.185]], axis=0)
            pieces.append(box("leg", (*low, 0.0), (*high, 0.43)))
    return scene_of(pieces)


def scene_of(pieces, **more) -> Scene:
    parts = pack([with_corners(p.corners)[0] for p in pieces])
    made = make_object(mesh_of(pieces), parts, "chair", mass=6.0, **more)
    return Scene(objects=(made,), poses=resting((made,)))


@pytest.mark.parametrize(
    ("missing", "stands"),
    [
        ((), True),
        (("front left",), True),  # the back holds the centre of mass over the three
        (("back left",), False),
        (("front left", "front right"), False),
        (("front left", "back left"), False),
        (("front left", "back right"), False),  # on a line
    ],
)
def test_chairs_of_four_three_and_two_legs_stand_as_mechanics_says(missing, stands):
    scene = chair(*missing)
    found = stability(scene, drops=6)
    assert found.stable is stands
    assert (static_margin(scene.objects[0]) > 0) is stands
    assert found.rate == (1.0 if stands else 0.0)


def test_a_leg_that_is_little_short_is_stood_on_all_the_same():
    whole = make_furniture("table", 0).objects[0]
    short, half = (make_furniture("table", 0, f"short_leg:{x}").objects[0] for x in (0.1, 1.0))  # 1 cm, 10 cm
    assert static_margin(short) == pytest.approx(static_margin(whole), abs=0.01)
    assert static_margin(half) < static_margin(whole) - 0.05


def test_the_strict_rule_sees_what_twenty_degrees_pass():
    tilted = make_furniture("chair", 0, "tilt:0.6")  # 12 degrees
    found = mjxhuman.stability(tilted, drops=4)
    assert not found.stable and found.verdicts["dso"].stable
    assert found.tilt == pytest.approx(12.0, abs=0.3)
    assert found.drops.speed.max() < 0.01  # it rests, on its feet
    assert stability(tilted, drops=4, rule="dso").stable
    assert static_margin(tilted.objects[0]) < -0.01


def test_the_pose_that_is_given_is_the_one_to_keep():
    upright = make_furniture("stool", 1)
    lying = upright.replace(poses=np.array([[0, 0, 0.2, np.sqrt(0.5), 0, np.sqrt(0.5), 0]]))
    found = stability(lying, drops=3)
    assert static_margin(upright.objects[0]) > 0.05
    leaning = [0, 0, 0, np.cos(np.radians(5)), np.sin(np.radians(5)), 0, 0]  # by 10 degrees
    assert static_margin(upright.objects[0], leaning) < -0.01
    turned = upright.replace(poses=np.array([[3.0, -2.0, 7.0, np.cos(1.0), 0, 0, np.sin(1.0)]]))
    assert stability(turned, drops=3).stable
    assert found.tilt < 90  # from lying, not from standing


def test_what_slides_or_rolls_on_stands_by_one_rule_only():
    scene = chair()
    start, friction, mass = module._starts(scene.objects[0], scene.poses[0], 2, 0)
    drops = module.Drops(*np.array([[1.0, 1.0], [0.06, 0.01], [0.0, 0.06], [0.0, 0.0]]), start, start, mass, True)
    np.testing.assert_array_equal(module.RULES["strict"].stands(drops), [False, False])
    np.testing.assert_array_equal(module.RULES["dso"].stands(drops), [True, True])
    spins = module.Drops(*np.array([[1.0], [0.01], [0.0], [0.6]]), start, start, mass, True)  # about its own axis
    assert not module.RULES["strict"].stands(spins) and module.RULES["dso"].stands(spins)
    assert module._reason(module.RULES["strict"], drops) == (
        "stands in 0 of 2 drops, slides away in 1, does not come to rest in 1"
    )
    assert ((friction >= 0.56) & (friction <= 1.04)).all() and ((mass >= 0.8) & (mass <= 1.2)).all()


def same(a, b) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("tilt", "drift", "speed", "spin", "rest")
    )


def test_the_same_seed_gives_the_same_bits_on_one_thread_and_two_and_on_a_slow_machine(monkeypatch):
    scene = make_furniture("chair", 3, "missing_leg")
    fast = stability(scene, drops=3, seed=7, threads=1)
    clock, plain = [0.0], module.Batch.rollout

    def slow(self, *args, **kwargs):
        clock[0] += 3600.0
        return plain(self, *args, **kwargs)

    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: clock[0])
    monkeypatch.setattr(module.Batch, "rollout", slow)
    again = stability(scene, drops=3, seed=7, threads=2)
    assert clock[0] > 3600 and same(fast.drops, again.drops) and fast.reason == again.reason
    assert not same(fast.drops, stability(scene, drops=3, seed=8).drops)


@pytest.mark.parametrize("name", ["chair:0", "stool:101:short_leg:0.3", "table:1:bumps"])
def test_drops_that_are_left_early_end_as_those_run_to_the_end(name):
    kind, seed, *damage = name.split(":", 2)
    scene = make_furniture(kind, int(seed), *damage)
    early, full = (drop(scene.objects[0], scene.poses[0], 3, 0, early=e) for e in (True, False))
    assert (full.seconds == module.SECONDS).all() and (early.seconds < full.seconds).all()
    for rule in module.RULES.values():
        np.testing.assert_array_equal(rule.stands(early), rule.stands(full))
    np.testing.assert_allclose(early.rest[:, :3], full.rest[:, :3], atol=1e-3)


def test_every_start_has_its_own_mass_and_friction_at_both_steps():
    scene = chair()
    batch, groups = module.bare_batch(scene.objects[0], scene.poses[0], 5, 0)
    _, friction, mass = module._starts(scene.objects[0], scene.poses[0], 5, 0)
    assert len(set(mass)) == len(set(friction)) == 5
    for step, group in zip(module.STEPS, groups, strict=True):
        assert (batch.expand("opt.timestep")[group] == step).all()
        np.testing.assert_allclose(np.squeeze(batch.expand("body_mass")[group])[:, -1], 6.0 * mass)
        inertia = batch.expand("body_inertia")[group].reshape(5, -1)[:, -1]
        np.testing.assert_allclose(inertia, inertia[0] / mass[0] * mass)
        np.testing.assert_allclose(batch.expand("pair_friction")[group][:, 0, 0], friction)


def test_starts_lean_by_a_degree_at_most_and_most_by_less_and_begin_a_millimetre_up():
    scene = chair()
    start, *_ = module._starts(scene.objects[0], scene.poses[0], 400, 0)
    up = quaternion.rotate(start[:, 3:], np.array([0.0, 0.0, 1.0]))
    lean = np.degrees(np.arctan2(np.hypot(up[:, 0], up[:, 1]), up[:, 2]))
    assert 0.8 < lean.max() <= 1.0 + 1e-9
    assert np.median(lean) == pytest.approx(0.6745 / 3, abs=0.03)
    low = quaternion.rotate(start[:, None, 3:], scene.objects[0].mesh.vertices[None])[..., 2].min(1) + start[:, 2]
    np.testing.assert_allclose(low, 0.001, atol=1e-4)


def test_the_finer_step_counts_and_the_coarser_is_kept(monkeypatch):
    scene = make_furniture("chair", 3, "missing_leg")
    found = []
    for steps in (module.STEPS, *((step,) for step in module.STEPS)):
        monkeypatch.setattr(module, "STEPS", steps)
        found.append(drop(scene.objects[0], scene.poses[0], 4, 0))
    both, coarse, fine = found
    assert same(both, fine) and same(both.coarse, coarse) and not same(coarse, fine)


def test_steps_that_say_otherwise_are_borderline():
    zero = np.zeros(16)

    def of(coarse: float, fine: float) -> module.Verdict:
        one, other = (
            module.Drops(np.full(16, tilt), zero, zero, zero, *np.zeros((2, 16, 7)), zero, True)
            for tilt in (coarse, fine)
        )
        return module._verdict(module.RULES["strict"], dataclasses.replace(other, coarse=one))

    assert [(v.stable, v.borderline) for v in (of(0, 0), of(90, 90), of(90, 0), of(0, 90))] == [
        (True, False), (False, False), (True, True), (False, True),
    ]  # fmt: skip


def test_a_start_is_left_only_where_its_motion_can_change_no_verdict():
    edge = chair("front left")  # stands, with its centre of mass near an edge

    def left(scene: Scene, speed: float, spin: float, seconds: float = 0.01, tilt: float = 0.0) -> bool:
        start = np.array(scene.poses)
        watch = module._Watch(scene.objects[0], start, start[0, 3:])
        for seen in watch._seen:
            seen.extend([np.array([tilt, speed, spin])] * seen.maxlen)
        watch.leave(seconds)
        return bool(watch.done.all())

    assert left(edge, 1e-4, 1e-4)
    assert not left(edge, 0.04, 0.4)  # slow enough for every rule, and fast enough to tip
    assert not left(edge, 1e-4, 1e-4, 1e4)  # time enough to drift away
    assert left(edge, 1e-4, 0.01, 1.0) and not left(edge, 1e-4, 0.01, 1.0, 4.9)  # or to lean too far
    assert left(chair(), 0.04, 0.01) and not left(chair(), 0.06, 0.01)  # far from tipping, and not at rest


def test_a_ball_stands_on_what_is_near_its_lowest_point():
    turn, height = np.meshgrid(np.linspace(0, 2 * np.pi, 24), np.linspace(0, np.pi, 90))
    ball = 0.2 * np.stack([np.cos(turn) * np.sin(height), np.sin(turn) * np.sin(height), np.cos(height)], -1)
    found = edge_distance(support(ball.reshape(-1, 3)), np.zeros(2))
    assert 0.2 * np.sin(np.radians(4)) < found < 0.03  # rocks by 5 degrees, or is less than 1 mm up: 2 cm


def test_a_simulation_that_diverged_gives_no_verdict(monkeypatch):
    monkeypatch.setattr(
        module, "drop", lambda *args, **kwargs: dataclasses.replace(drop(*args, **kwargs), finite=False)
    )
    found = stability(chair(), drops=1)
    assert not found.valid and found.reason == "the simulation diverged" and np.isnan(found.margin)


def test_a_rate_between_the_verdicts_is_borderline():
    def of(count: int, rule: str = "strict") -> module.Verdict:
        tilt = np.where(np.arange(16) < count, 0.0, 90.0)
        zero = np.zeros(16)
        return module._verdict(
            module.RULES[rule], module.Drops(tilt, zero, zero, zero, *np.zeros((2, 16, 7)), zero, True)
        )

    assert [of(k).stable for k in (16, 15, 14, 0)] == [True, True, False, False]
    assert [of(k).borderline for k in (16, 15, 14, 10, 0)] == [False, True, True, False, False]
    assert [of(k, "dso").stable for k in (16, 8, 7)] == [True, True, False]
    assert of(15).interval == pytest.approx((0.717, 0.989), abs=1e-3)


def test_a_scene_is_as_stable_as_its_least_stable_object():
    good, bad = chair(), chair("back left")
    both = Scene(objects=(*good.objects, *bad.objects), poses=resting((*good.objects, *bad.objects)))
    found = stability(both, drops=2)
    assert not found.stable and [o.stable for o in found.objects] == [True, False]


def test_what_is_unfit_gets_no_verdict():
    scene = chair()
    for change, said in (
        ({"unfit": "two feet are missing"}, "two feet are missing"),
        ({"mass": np.asarray(1000.0)}, "expected 0.1 to 500 kg, found 1000"),
        ({"com": np.full(3, np.nan)}, "expected finite numbers"),
    ):
        found = stability(scene.replace(objects=(scene.objects[0].replace(**change),)), drops=1)
        assert not found.valid and not found.stable and np.isnan(found.rate) and said in found.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "lax"}, "rule: expected one of strict, dso, found 'lax'"),
        ({"drops": 0}, "drops: expected a whole number of 1 or more, found 0"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, found -1"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        stability(chair(), **options)
    with pytest.raises(ValueError, match=r"scene: expected objects with a pose"):
        stability(Scene(objects=(), poses=np.zeros((0, 7))))


def test_the_distance_to_an_edge_is_signed_and_knows_lines_and_points():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], float)
    cases = [(square, (0.5, 0.4), 0.4), (square, (2.0, 2.0), -np.sqrt(2)), (square[:2], (0.5, 0.3), -0.3)]
    for points, at, expected in [*cases, (square[:1], (3.0, 4.0), -5.0)]:
        assert edge_distance(points, np.array(at)) == pytest.approx(expected)
