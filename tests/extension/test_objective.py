"""A new term of a plan's objective: the left hand is raised, whatever the motion to be performed does with it.

A term is a function of an ``Outlook``, the simulated futures beside the reference's; it returns differences
``(m, n, H)`` in its own unit, and a ``Term`` gives them a weight and a scale. The planner weighs them with the others.
"""

from __future__ import annotations

import numpy as np
from jax import Array

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.tuning import LIGHT
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.planning import Planner, Settings
from mjxhuman.planning.terms import TERMS, Outlook, Term

BODY = load_humanoid("smpl")
HAND = BODY.body_names.index("L_Hand") - 1  # features leave the world out
HEIGHT = 1.0  # m


def raised_hand(look: Outlook) -> Array:
    """m between the left hand and where it is wanted, ``(1, n, H)``."""
    return look.body.pos[HAND, 2:3] - HEIGHT


def test_the_hand_goes_up_while_the_body_walks_on():
    clip = load_builtin_clip("walk")
    walk = motion_from_qpos(BODY, clip.qpos[:42], clip.fps)  # 0.7 s
    settings = Settings(samples=16, improvements=2, horizon=8)
    servos = actuated_humanoid(BODY, tuning=LIGHT)
    heights, errors = {}, {}
    for name, terms in {"plain": TERMS, "raised": {**TERMS, "hand": Term(raised_hand, 10.0, 0.1)}}.items():
        plan = Planner(servos, settings, terms)(walk, progress=False)
        heights[name] = float(np.asarray(plan.motion.body_pos)[-1, HAND + 1, 2])
        errors[name] = plan.error_global_mm
        assert plan.tracked
    assert heights["raised"] > heights["plain"] + 0.05
    assert errors["raised"] < 150.0
