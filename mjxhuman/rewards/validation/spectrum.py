"""Power spectrum of the joints beside recorded motion: for finding motion that was filtered or is noisy, never scored.

Smooth motion is possible motion, so no term can punish it; but people who move are not as smooth as a filter leaves
them. Of the angular velocities of all joints, differences of neighbouring frames, the power of each band is compared
with that of the band in which people move most. The table of recorded clips is made by ``experiments.measure_spectrum``
and stored beside this module; it names their source and holds numbers only.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.physics.coordinates import coordinates
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.types import Motion

#: Hz; the band that the others are compared with, and those: octaves below the noise of optical motion capture.
BASE, BANDS = (0.5, 2.0), ((2.0, 4.0), (4.0, 8.0), (8.0, 12.0))
#: Seconds of one spectrum; a clip's is the mean of those that fit, half overlapping (Welch 1967).
WINDOW = 2.0
#: rad/s, root mean square over the joints in ``BASE``: what hardly moves has the spectrum of its noise.
MOVES = 0.05
#: Percentiles of recorded clips beyond which a clip is said to be smoother or rougher.
SMOOTHER, ROUGHER = 5.0, 99.0
PERCENTILES = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 100)


class Band(NamedTuple):
    """The power of one band of frequencies."""

    low: float  # Hz
    high: float  # Hz
    level: float  # dB over the power in ``BASE``
    percentile: float  # share in percent of recorded clips with less
    median: float  # dB, of recorded clips


def levels(motion: Motion) -> dict[tuple[float, float], float]:
    """Power (dB) of each of ``BANDS`` that the frame rate holds, over that of ``BASE``.

    Empty for a clip that is not all valid, is shorter than ``WINDOW``, hardly moves, or has no ball joints.
    """
    from scipy.signal import welch  # slow to load

    ball = in_ball_joints(motion)
    coords, window = coordinates(ball.humanoid.model), round(WINDOW * motion.fps)
    if not np.asarray(motion.valid).all() or motion.num_frames <= window or not coords.quat_q:
        return {}
    quats = np.asarray(coords.quats(np.asarray(ball.qpos, np.float64)))
    turns = Rotation.from_quat(quats.reshape(-1, 4), scalar_first=True)
    count = quats[0, :, 0].size
    steps = (turns[:-count].inv() * turns[count:]).as_rotvec().reshape(len(quats) - 1, -1)
    frequency, power = welch(steps * motion.fps, motion.fps, nperseg=window, axis=0)
    power = power.sum(1) * frequency[1]

    def within(low: float, high: float) -> float:
        return float(power[(frequency >= low) & (frequency < high)].sum())

    base = within(*BASE)
    if base < count * MOVES**2:
        return {}
    return {band: 10 * np.log10(within(*band) / base + 1e-12) for band in BANDS if 2 * band[1] < motion.fps}


@functools.lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """``{"source", "clips", "percentiles", "bands": [{"low", "high", "values"}, ...]}``."""
    return json.loads(resources.files("mjxhuman.rewards.validation").joinpath("spectrum.json").read_text())


def spectrum(motion: Motion) -> tuple[Band, ...]:
    """The bands of a clip beside recorded motion; empty where ``levels`` is."""
    found, known = levels(motion), table()
    bands = []
    for row in known["bands"]:
        if (level := found.get((row["low"], row["high"]))) is not None:
            share = float(np.interp(level, row["values"], known["percentiles"]))
            middle = row["values"][known["percentiles"].index(50)]
            bands.append(Band(row["low"], row["high"], round(level, 2), round(share, 1), middle))
    return tuple(bands)


def sentence(bands: tuple[Band, ...]) -> str:
    """What the fastest band says of a clip that is smoother or rougher than nearly all recorded ones; "" otherwise."""
    if not bands:
        return ""
    fast = bands[-1]
    if SMOOTHER <= fast.percentile <= ROUGHER:
        return ""
    smooth = fast.percentile < SMOOTHER
    share = 100 - fast.percentile if smooth else fast.percentile
    return (
        f"{'smoother' if smooth else 'rougher'} than {share:.0f} % of {table()['clips']} recorded clips: joints have "
        f"{abs(fast.level - fast.median):.0f} dB {'less' if smooth else 'more'} power at {fast.low:g}-{fast.high:g} Hz "
        f"than in the median; {'filtered' if smooth else 'noisy'}? (not scored)"
    )
