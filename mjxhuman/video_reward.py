"""The old place of ``mjxhuman.scoring.videos``; goes with the next release."""

from __future__ import annotations

import warnings

from mjxhuman.scoring.videos import VideoReward, reward

__all__ = ["VideoReward", "reward"]

warnings.warn(
    "mjxhuman.video_reward has moved: from mjxhuman.scoring.videos import reward", DeprecationWarning, stacklevel=2
)
