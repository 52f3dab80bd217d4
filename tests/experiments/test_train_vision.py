"""The launcher of policies that follow videos, its configurations, and the method of ``reconstruct``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from configs.vision_policy import RELEASED, VARIANTS, get_config
from experiments import train_vision
from experiments.start_from import Beginning, beginning, check_task
from experiments.train_imitation import dataclass_of

BEGUN = Beginning()


@pytest.mark.parametrize("variant", sorted({*VARIANTS} - {"supertrack"}))
def test_every_variant_makes_a_task_and_an_algorithm(variant):
    from mjxhuman.envs.vision import VisionConfig

    config = get_config(variant)
    task = dataclass_of(VisionConfig, config.task, "config.task")
    assert dict(task.groups)["expert"] == ("expert",)
    algorithm = train_vision.algorithm_of(config, BEGUN)
    (loss,) = algorithm.extras
    assert loss.rate == 1.0 - task.smoothing and algorithm.weight == 1.0
    if variant in ("physhmr", "released"):
        assert dict(task.groups)["state"] == RELEASED and task.action == "absolute"
    if variant == "released":
        assert algorithm.warm_up is None and (loss.first, loss.last) == (0.1, 0.1)
    else:
        assert algorithm.warm_up.iterations == loss.warm_up > 0


def test_the_expert_goes_on_learning_on_what_videos_tell(capsys):
    from mjxhuman.envs.vision import VisionConfig

    config = get_config("supertrack")
    begun = beginning(config.start_from, "train_vision")
    algorithm = train_vision.algorithm_of(config, begun)
    assert algorithm.start is begun.policy and algorithm.model is begun.model is not None
    task = dataclass_of(VisionConfig, config.task, "config.task")
    check_task("expert", begun.facts, task)
    assert set(dict(task.groups)["state"]) > set(begun.facts["task"]["groups"]["state"]) and len(task.groups) == 1
    config.algorithm = "sarsa"
    with pytest.raises(ValueError, match=r"config\.algorithm: expected ppo or supertrack, found 'sarsa'"):
        train_vision.algorithm_of(config, begun)


def test_ablations_are_values():
    config = get_config("test")
    config.distill.first = 2e6
    alone = train_vision.algorithm_of(config, BEGUN)
    assert alone.weight == 0.0 and alone.extras[0].first == alone.extras[0].last == 100.0
    config.task.groups.expert = ()
    assert not train_vision.algorithm_of(config, BEGUN).extras
    with pytest.raises(ValueError, match="expected variant cpu, supertrack, gpu, physhmr"):
        get_config("huge")


@pytest.mark.slow
def test_a_run_leaves_a_policy_that_reconstructs(tmp_path, monkeypatch):
    """Film, expert, both stages, the same command again, and a video through the closed loop."""
    import mjxhuman
    from mjxhuman.tracking.tracker import load_tracker
    from mjxhuman.tracking.vision import load_vision

    monkeypatch.setenv("MJXHUMAN_CACHE", str(tmp_path / "cache"))
    config = get_config("test")
    config.out, config.quiet = str(tmp_path / "run"), True
    assert train_vision.run(config) == 0 and train_vision.run(config) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["distill/weight"] == 100.0 and lines[-1]["distill/weight"] < 10.0
    assert lines[-1]["gradient/ppo"] > 0 and lines[-1]["gradient/distill"] > 0
    tracker = load_vision(tmp_path / "run")
    assert tracker.facts["features"].startswith("mjxhuman lifter") and tracker.facts["expert"]["file"] == "expert.npz"
    with pytest.raises(ValueError, match="kind: expected 'imitation'"):
        load_tracker(tmp_path / "run")
    other = dataclasses.replace(tracker, facts={**tracker.facts, "features": "another"})
    monkeypatch.setattr("mjxhuman.reconstruction.vision.load_vision", lambda *_: other)
    walk = Path(__file__).parents[2] / "examples" / "walk_keypoints.npz"
    with pytest.raises(ValueError, match="expected those that the policy has learned with, 'another'"):
        mjxhuman.reconstruct(walk, method="policy", method_options={"policy": "any"})
    monkeypatch.undo()
    found = mjxhuman.reconstruct(walk, method="policy", method_options={"policy": str(tmp_path / "run")})
    assert found.method == "policy" and found.takes
    np.testing.assert_allclose(found.replayed()[0], found.takes[0].qpos, atol=1e-6)


def test_variations_are_learned_but_not_judged(monkeypatch):
    """The built-in walk and its mirror image, by cameras that see nothing but the truth."""
    import mjxhuman.tracking.vision as judging
    from mjxhuman.encoders.lifting import RAY_JOINTS, Rays
    from mjxhuman.recovery.visual import VisualTrack

    def filmed(clips, names, views, *_):
        found = []
        for clip in clips:
            frames = clip.num_frames
            rays = Rays(np.zeros((frames, 3)), np.ones((frames, 12, 3)), np.ones((frames, 12)), RAY_JOINTS)
            quat, seen = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1)), np.ones((frames, 24), bool)
            found.append([VisualTrack(
                np.zeros((frames, 4)), quat, rays, clip.qpos, seen, seen[:, 0], 30.0, "none", clip.humanoid.name
            )])  # fmt: skip
        return found

    monkeypatch.setattr(train_vision, "filmed", filmed)
    config = get_config("supertrack")
    config.update({"quiet": True, "seconds": 1.0, "held_by_expert": False})
    config.vary.update({"mirror": True, "speeds": (1.2,)})
    env, _, clips, names, failed = train_vision.environment(config)
    assert len(clips) == len(names) == 1 and failed == 0 and env.library.num_clips == 4
    np.testing.assert_allclose(env.visual.qpos[0], env.library.qpos, atol=1e-4)  # these videos know
    assert len(set(np.asarray(env.library.length))) == 2  # slower and faster
    seen = []
    numbers = dict.fromkeys(("success_rate", "mpjpe_global_mm", "mpjpe_local_mm", "torque", "residual_share"), 1.0)
    monkeypatch.setattr(judging, "evaluate_vision", lambda env, policy, clips, *_: seen.append((env, clips)) or [])
    monkeypatch.setattr("mjxhuman.tracking.evaluate.summary", lambda _: numbers)
    train_vision.evaluator(env, clips, names)(None, 0)
    ((alone, judged),) = seen
    assert judged == clips and alone.library.num_clips == 1
    np.testing.assert_array_equal(alone.visual.qpos[0], env.visual.qpos[0, : clips[0].num_frames])
    config.task.groups.state = (*config.task.groups.state, "video_features")
    with pytest.raises(ValueError, match=r"config.vary.mirror: expected a task without video_features"):
        train_vision.environment(config)


@pytest.mark.slow
def test_supertrack_begins_as_the_expert(tmp_path, monkeypatch):
    """The first policy does with the fit what the expert does; training goes through the shipped step model."""
    from mjxhuman.tracking.vision import load_vision

    monkeypatch.setenv("MJXHUMAN_CACHE", str(tmp_path / "cache"))
    config = get_config("supertrack")
    config.update({"out": str(tmp_path / "run"), "quiet": True, "samples": 2 * 64, "evaluate_every": 0, "seconds": 1.0})
    config.held_by_expert, config.videos.count = False, 1
    config.supertrack.update({
        "num_envs": 8, "unroll_length": 8, "chunks": 32, "recent": 16, "model_updates": 1, "model_batch": 8,
        "model_window": 4, "updates": 1, "batch": 8, "horizon": 3, "warm_up": 1,
    })  # fmt: skip
    assert train_vision.run(config) == 0
    first, second = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert first["policy/gradient_norm"] == 0 < second["policy/gradient_norm"]
    assert first["model/error"] < 0.3  # a fresh one begins at 0.5
    assert load_vision(tmp_path / "run").facts["expert"]["file"] == "expert.npz"
