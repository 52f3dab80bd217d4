"""Advice names the total's place, what lost most, when, and what to try."""

import re

import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.report.advice import CAUSES, advice
from mjxhuman.rewards.feasibility import AXES


@pytest.fixture(scope="module")
def walk():
    return mjxhuman.load_motion(builtin_path("walk"))


def said(motion, qpos, fps=None):
    changed = motion_from_qpos(motion.humanoid, qpos, fps or motion.fps)
    return advice(mjxhuman.score(changed), changed)


def test_every_sub_score_has_a_cause():
    assert set(CAUSES) == {name for names in AXES.values() for name in names}


def test_a_fine_clip_is_placed_and_nothing_else(walk):
    text = said(walk, walk.qpos)
    assert text.startswith("total 1.00, higher than") and "lost" not in text


def test_a_clip_that_floats_from_somewhere_on_is_told_how_high_and_from_when(walk):
    qpos = np.array(walk.qpos)
    half = len(qpos) // 2
    qpos[half:, 2] += 0.1 * np.clip(np.arange(len(qpos) - half) / (0.3 * walk.fps), 0, 1)
    text = said(walk, qpos)
    assert "contact lost most" in text and "floats 10 cm over the floor from" in text and "try --ground stance" in text
    start = float(text.split("from ")[1].split(" to")[0])
    assert start == pytest.approx(half / walk.fps, abs=0.3)


def test_a_clip_that_slides_is_told_how_fast(walk):
    qpos = np.array(walk.qpos)
    qpos[:, 0] += np.arange(len(qpos)) / walk.fps
    assert re.search(r"slides at 1\.[012] m/s throughout", said(walk, qpos))


def test_slow_motion_is_told_to_be_retimed():
    jump = mjxhuman.load_motion(builtin_path("jump"))
    text = said(jump, jump.qpos, jump.fps / 2)
    assert "times too slowly" in text and "--retime auto" in text


def test_the_published_reward_has_no_advice(walk):
    assert advice(mjxhuman.score(walk, "phymotion"), walk) == ""
