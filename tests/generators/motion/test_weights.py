"""The weights that ship: they load, and the adapter does what is said of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.generators.motion.generator import load_generator
from mjxhuman.generators.motion.reward import Feasibility, movement


@pytest.mark.slow
@pytest.mark.compiled
def test_the_adapter_makes_walks_and_dances_more_feasible_and_not_slower():
    tuned = load_generator("motion", "physics")
    assert "command" not in tuned.facts and len(tuned.captions) == 58
    found = []
    for generator in (dataclasses.replace(tuned, adapter=None), tuned):
        features, prompts = generator.features(["a person walks", "a person dances", "a person jumps"], 4, seed=20)
        qpos = np.asarray(generator.decode(generator.scale.to_unit(features)))
        scores = Feasibility(generator)(qpos, prompts)
        assert scores.valid.all()
        found.append((scores.total.mean(), np.asarray(movement(generator, qpos)).mean(0)))
    (before, slow), (after, fast) = found
    assert after > before + 0.1 and (fast > 0.9 * slow).all()
