"""The launcher of trackers on the built-in clip: it trains, continues, and says what is wrong before it begins."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.imitation import get_config
from experiments import train_imitation

SIZE = 32 * 8  # samples per iteration of the variant "test"


def configured(out: Path, **changes: Any):
    """The variant "test" for two iterations, with other values by their dotted names."""
    config = get_config("test")
    config.update({"out": str(out), "quiet": True, "samples": 2 * SIZE})
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run of two iterations."""
    out = tmp_path_factory.mktemp("run")
    assert train_imitation.run(configured(out)) == 0
    return out


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_leaves_a_tracker_and_its_history(folder):
    from mjxhuman.tracking.tracker import load_tracker

    facts = json.loads((folder / "run.json").read_text())
    assert facts["config"]["env"]["clips"] == ["walk.npz"]
    assert len(facts["sessions"]) == 1 and {"command", "iteration"} <= set(facts["sessions"][0])
    first, last = lines(folder)[:2]
    assert first["step"] == 1 and last["steps"] == 2 * SIZE
    assert 0.0 < first["reward"] < 1.0 and first["reward/imitation"] > 0.3
    assert "evaluate/score" not in first and last["evaluate/success_rate"] in (0.0, 1.0)
    assert last["evaluate/mpjpe_global_mm"] > last["evaluate/mpjpe_local_mm"] > 0
    tracker = load_tracker(folder)
    assert tracker.path == folder / "best.npz" and (folder / "policy.npz").is_file()
    assert tracker.config.action == "residual" and tracker.facts["steps"] == 2 * SIZE
    assert any((folder / "checkpoints").iterdir()) and any((folder / "tensorboard").iterdir())


@pytest.mark.slow
def test_the_same_command_continues(folder):
    before = lines(folder)
    assert train_imitation.run(configured(folder)) == 0  # nothing left to do
    assert lines(folder) == before
    assert train_imitation.run(configured(folder, samples=3 * SIZE)) == 0
    assert [line["step"] for line in lines(folder)] == [1, 2, 3]
    assert lines(folder)[:2] == before
    assert len(json.loads((folder / "run.json").read_text())["sessions"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ppo.gamma": 0.5}, "gamma"),
        ({"task.events.push.rate": 0.1}, r"events\.push\.rate"),
        ({"randomize.bodies": 2}, "randomize"),
        ({"vary.mirror": True}, "vary"),
    ],
)
def test_another_configuration_does_not_fit_the_folder(folder, capsys, changes, message):
    policy = (folder / "policy.npz").read_bytes()
    assert train_imitation.run(configured(folder, **changes)) == train_imitation.NOTHING_TO_DO
    assert re.search(message, capsys.readouterr().err)
    assert (folder / "policy.npz").read_bytes() == policy


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("task", {"colour": "red"}, "config.task: expected fields among .*, found colour"),
        ("task", {"action": "sideways"}, "action: expected 'absolute' or 'residual', found 'sideways'"),
        ("task", {"rewards": {"applause": {}}}, "rewards: expected one of .*, found 'applause'"),
        ("task", {"rewards": {"power": {"k_pos": 1.0}}}, r"rewards\.power: expected values among weight, found k_pos"),
        ("ppo", {"learning_speed": 1.0}, "config.ppo: expected fields among .*, found learning_speed"),
        ("ppo", {"minibatch_size": 100}, "minibatch_size: expected a divisor of .* 256, found 100"),
        ("vary", {"speeds": (0.0,)}, "speeds: expected positive factors, found 0"),
        ("vary", {"colours": ("red",)}, "config.vary: expected fields among mirror, speeds, curvatures, found colours"),
        ("randomize", {"bodies": -1}, "config.randomize.bodies: expected 0 or more, found -1"),
        ("randomize", {"bodies": 2, "mass": (0.0, 1.0)}, "mass: expected 0 < low <= high"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_loaded(tmp_path, monkeypatch, capsys, section, values, message):
    monkeypatch.setattr(train_imitation, "load", lambda *_: pytest.fail("clips were loaded"))
    config = configured(tmp_path / "out")
    with config.unlocked():
        config[section].update(values)
    assert train_imitation.run(config) == train_imitation.NOTHING_TO_DO
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def supertrack(out: Path):
    """The variant "expert" on the built-in clip, as small as it goes."""
    config = get_config("expert")
    config.update({"out": str(out), "quiet": True, "samples": 2 * 64, "evaluate_every": 0})
    config.supertrack.update({
        "num_envs": 8, "unroll_length": 8, "chunks": 32, "recent": 16, "model_hidden": (16,), "model_updates": 2,
        "model_batch": 8, "model_window": 4, "updates": 2, "batch": 8, "horizon": 3, "warm_up": 1,
        "actor_hidden": (16,),
    })  # fmt: skip
    return config


@pytest.mark.slow
def test_an_expert_is_trained_through_a_learned_simulator_and_continued(tmp_path):
    from mjxhuman.tracking.tracker import load_tracker

    out = tmp_path / "out"
    assert train_imitation.run(supertrack(out)) == 0
    longer = supertrack(out)
    longer.samples = 3 * 64
    assert train_imitation.run(longer) == 0
    first, second, third = lines(out)
    assert first["policy/gradient_norm"] == 0 < second["policy/gradient_norm"]
    assert third["model/error"] > 0 > third["reward/deviation"] and third["steps"] == 3 * 64
    tracker = load_tracker(out)
    assert tracker.facts["supertrack"]["horizon"] == 3 and tracker.policy.networks.actor_hidden == (16,)


def test_an_algorithm_that_there_is_not(tmp_path, capsys):
    config = configured(tmp_path / "out", algorithm="sarsa")
    assert train_imitation.run(config) == train_imitation.NOTHING_TO_DO
    assert "config.algorithm: expected ppo or supertrack, found 'sarsa'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_policy_to_begin_with_reaches_the_algorithm(tmp_path, monkeypatch, capsys):
    import mjxhuman.learning.trainer
    from mjxhuman.tracking.tracker import SHIPPED

    trained = []
    monkeypatch.setattr(mjxhuman.learning.trainer, "train", lambda env, algorithm, *_, **__: trained.append(algorithm))
    assert train_imitation.run(configured(tmp_path / "out")) == 0
    assert train_imitation.run(configured(tmp_path / "out", start_from=str(SHIPPED["ppo"]))) == 0
    plain, begun = trained
    assert plain.start is None and begun.start.networks.actor_hidden == (256, 256)
    assert train_imitation.run(configured(tmp_path / "out", start_from="absent.npz")) == train_imitation.NOTHING_TO_DO
    assert "absent.npz" in capsys.readouterr().err
    other = configured(tmp_path / "out", start_from=str(SHIPPED["ppo"]))
    other.task.groups.state = ("previous_action", "compact")
    assert train_imitation.run(other) == train_imitation.NOTHING_TO_DO
    assert "groups.state: expected ('previous_action', 'compact') of this task" in capsys.readouterr().err
    other.task.groups.state = ("compact", "previous_action", "preview")  # seeing more is no difference
    assert train_imitation.run(other) == 0
    assert len(trained) == 3


def test_a_step_model_comes_with_the_policy_of_its_body(tmp_path, monkeypatch, capsys):
    import mjxhuman.learning.trainer

    trained = []
    monkeypatch.setattr(mjxhuman.learning.trainer, "train", lambda env, algorithm, *_, **__: trained.append(algorithm))
    config = supertrack(tmp_path / "out")
    config.start_from = "expert"
    assert train_imitation.run(config) == 0
    assert "expert.npz, " in (said := capsys.readouterr().err) and "step_model.npz" in said
    assert trained[0].model.params["hidden_0"]["kernel"].shape[1] == 512
    config.start_from, config.task.groups.state = "ppo", ("compact", "previous_action")  # of a body with other servos
    assert train_imitation.run(config) == 0
    assert trained[1].model is None and "a fresh step model" in capsys.readouterr().err


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch, capsys):
    """Training goes on with the others and ends with 1; with no other there is nothing to do."""
    import mjxhuman.learning.trainer
    from mjxhuman.data.builtin import builtin_path

    trained = []
    monkeypatch.setattr(mjxhuman.learning.trainer, "train", lambda env, *_, **options: trained.append((env, options)))
    (tmp_path / "broken.bvh").write_text("no motion")
    clips = f"{tmp_path}/broken.bvh,{builtin_path('walk')}"
    assert train_imitation.run(configured(tmp_path / "out", clips=clips)) == 1
    ((env, options),) = trained
    assert env.library.num_clips == 1
    assert options["facts"]["clips"] == ["walk.npz"] and "randomize" not in options["facts"]
    assert f"train_imitation: {tmp_path}/broken.bvh: " in capsys.readouterr().err
    for clips in (f"{tmp_path}/broken.bvh", f"{tmp_path}/*.amc"):
        assert train_imitation.run(configured(tmp_path / "out", clips=clips)) == train_imitation.NOTHING_TO_DO
        assert Path(clips).name in capsys.readouterr().err
    assert len(trained) == 1


def test_bodies_differ_within_their_ranges():
    plain = train_imitation.simulation(configured(Path()))
    assert plain.models == (plain.actuated.model,)
    ranges = {"randomize.friction": (0.5, 0.9), "randomize.mass": (1.1, 1.2), "randomize.gain": (1.0, 1.0)}
    simulator = train_imitation.simulation(configured(Path(), **{"randomize.bodies": 4, **ranges}))
    assert len(simulator.models) == 4 and simulator.actuated is plain.actuated
    nominal = plain.actuated.model
    friction = np.array([m.pair_friction[:, 0] / nominal.pair_friction[:, 0] for m in simulator.models])
    mass = np.array([m.body_mass[1:] / nominal.body_mass[1:] for m in simulator.models])
    gain = np.array([m.actuator_gainprm[:, 0] / nominal.actuator_gainprm[:, 0] for m in simulator.models])
    assert np.all((friction >= 0.5) & (friction <= 0.9)) and np.std(friction) > 0.02
    assert np.all((mass >= 1.1) & (mass <= 1.2)) and np.std(mass) > 0.02
    np.testing.assert_allclose(gain, 1.0)
    again = train_imitation.simulation(configured(Path(), **{"randomize.bodies": 4, **ranges}))
    np.testing.assert_array_equal(again.models[3].body_mass, simulator.models[3].body_mass)  # the seed decides


def test_variations_are_learned_but_not_judged(tmp_path, monkeypatch):
    import mjxhuman.tracking.evaluate as judging

    env, clips = train_imitation.environment(configured(tmp_path / "out", **{"vary.mirror": True}))
    assert len(clips.motions) == 1 and env.library.num_clips == 2
    seen = []
    numbers = dict.fromkeys(("success_rate", "mpjpe_global_mm", "mpjpe_local_mm", "torque", "residual_share"), 1.0)
    monkeypatch.setattr(judging, "evaluate", lambda _, motions, **options: seen.append((motions, options)) or [])
    monkeypatch.setattr(judging, "summary", lambda _: numbers)
    train_imitation.evaluator(env, clips.motions, None)(None, 0)
    ((motions, options),) = seen
    assert motions == clips.motions and options["library"] is None
