from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import mjxhuman
from mjxhuman.rewards.validation import spectrum

FPS = 60.0


@pytest.fixture(scope="module")
def body():
    return mjxhuman.load_humanoid("smpl")


def swinging(body, *tones, seconds=4.0):
    """A motion whose left elbow turns about one axis: tones of so many Hz and rad/s."""
    t = np.arange(round(seconds * FPS)) / FPS
    angle = sum(speed / (2 * np.pi * hz) * np.sin(2 * np.pi * hz * t) for hz, speed in tones)
    qpos = np.tile(body.model.qpos0, (len(t), 1))
    at = int(body.model.jnt_qposadr[body.model.body("L_Elbow").jntadr[0]])
    qpos[:, at], qpos[:, at + 2] = np.cos(0.5 * angle), np.sin(0.5 * angle)
    return mjxhuman.motion_from_qpos(body, qpos.astype(np.float32), FPS)


def test_levels_are_the_power_of_each_band_over_the_slow_one(body):
    found = spectrum.levels(swinging(body, (1.0, 2.0), (3.0, 1.0), (6.0, 0.2), (10.0, 0.02)))
    assert list(found) == list(spectrum.BANDS)
    np.testing.assert_allclose(list(found.values()), [-6.0, -20.0, -40.0], atol=1.0)


def test_bands_end_below_half_the_frame_rate(body):
    motion = dataclasses.replace(swinging(body, (1.0, 2.0)), dt=1 / 20)
    assert list(spectrum.levels(motion)) == [(2.0, 4.0), (4.0, 8.0)]


@pytest.mark.parametrize(("tones", "seconds"), [([(1.0, 2.0)], 1.9), ([(1.0, 0.01), (6.0, 0.2)], 4.0)])
def test_short_and_still_clips_say_nothing(body, tones, seconds):
    motion = swinging(body, *tones, seconds=seconds)
    assert spectrum.spectrum(motion) == ()
    assert spectrum.sentence(()) == ""


def test_smooth_and_rough_motion_is_told(body):
    levels = {
        (r["low"], r["high"]): r["values"][spectrum.table()["percentiles"].index(50)] for r in spectrum.table()["bands"]
    }
    tones = [(1.0, 2.0)]
    tones += [(0.5 * sum(band), 2.0 * 10 ** (level / 20)) for band, level in levels.items()]
    assert spectrum.sentence(spectrum.spectrum(swinging(body, *tones))) == ""
    smooth = spectrum.sentence(spectrum.spectrum(swinging(body, *tones[:2])))
    assert smooth.startswith("smoother than 100 % of 47 recorded clips")
    rough = spectrum.sentence(spectrum.spectrum(swinging(body, *tones[:3], (10.0, 4.0))))
    assert rough.startswith("rougher than 100 %")
