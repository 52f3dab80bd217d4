"""Rewards from workers: the same as without them, in order, and a sample whose worker dies is no more than that."""

from __future__ import annotations

import functools
import os
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from blobs import OPTIONS, PROMPTS, right, trained

from mjxhuman.generators.finetune import PostTraining
from mjxhuman.generators.reward_service import RewardService
from mjxhuman.generators.rewards import Rewards
from mjxhuman.runs.workers import WorkStage
from mjxhuman.types import Scores

pytestmark = pytest.mark.compiled


def encoder(folder=None):
    """The first coordinate of a point; dies once at the first sample that it sees, if told to."""

    def encode(sample):
        point, prompt = sample
        mark = None if folder is None else Path(folder) / "died"
        if mark is not None and not mark.exists():
            mark.touch()
            os._exit(1)
        return float(point[0]), prompt

    return encode


def scorer():
    """As ``blobs.right`` judges; refuses what is far to the right, raises at what is far to the left."""

    def judge(seen):
        x, _ = seen
        if x < -1.2:
            raise ValueError("too far left")
        total = np.float32(x > 0)
        return Scores(
            total=total, axes={"height": total * 2}, terms={}, frames={}, valid=np.asarray(x < 1.2), reason="",
            reward="test",
        )  # fmt: skip

    return judge


def points():
    return np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)


@pytest.mark.parametrize("backend", ["local", "ray"])
def test_a_service_says_what_its_function_says_and_a_dead_worker_loses_no_sample(backend, tmp_path, request):
    if backend == "ray":
        request.getfixturevalue("ray_cluster")
    made, x = points(), points()[:, 0]
    encode = functools.partial(encoder, tmp_path)
    stages = [WorkStage("encode", encode, workers=2, cpus=0.5), WorkStage("score", scorer, workers=0)]
    with RewardService(stages, backend) as service:
        found = service(made, ["a point"] * 24)
        tickets = [service.submit(made[i : i + 8], ["a point"] * 8) for i in (0, 8, 16)]
        parts = [service.collect(ticket) for ticket in reversed(tickets)][::-1]
    assert found.errors == ("score: too far left",) and (tmp_path / "died").exists()
    np.testing.assert_array_equal(found.valid, (x >= -1.2) & (x < 1.2))
    np.testing.assert_array_equal(found.total[found.valid], (x > 0)[found.valid])
    np.testing.assert_array_equal(found.parts["height"][found.valid], 2 * found.total[found.valid])
    np.testing.assert_array_equal(np.concatenate([part.total for part in parts]), found.total)


def whole():
    return lambda sample: float(right(sample[0][None], [sample[1]]).total[0])


def test_a_training_by_workers_is_the_one_without_them():
    blobs = trained()

    def without(made, prompts):
        return Rewards(right(made, prompts).total, np.ones(len(prompts), bool))

    with RewardService([WorkStage("all", whole, workers=2)]) as service:
        states = []
        for reward in (service, without):
            run = PostTraining(blobs, PROMPTS, reward, OPTIONS)
            state, _ = run.epoch(run.init())
            states.append(jax.tree.leaves(run.epoch(state)[0].current))
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_micro_batch_is_judged_while_the_next_is_sampled():
    blobs, log, lock = trained(), [], threading.Lock()

    def slow(made, prompts):
        with lock:
            log.append(("begins", threading.current_thread() is threading.main_thread()))
        time.sleep(0.5)
        with lock:
            log.append(("ends", None))
        return right(made, prompts)

    run = PostTraining(blobs, PROMPTS, slow, OPTIONS)
    sample = run.sample
    run.sample = lambda *rest: (log.append(("sampled", None)), sample(*rest))[1]
    run.epoch(run.init())
    said = [what for what, _ in log]
    assert said.count("sampled") == said.count("ends") == 2
    assert [i for i, what in enumerate(said) if what == "sampled"][1] < said.index("ends")
    assert not any(main for what, main in log if what == "begins")
