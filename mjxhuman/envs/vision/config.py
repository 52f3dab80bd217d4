"""The task of following videos in one place: that of tracking, with more terms."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Mapping
from typing import Any, ClassVar

from mjxhuman.envs.imitation.config import TABLES, ImitationConfig
from mjxhuman.envs.vision.terms import OBSERVATIONS, REWARDS, STARTS

_MORE = {"observations": OBSERVATIONS, "rewards": REWARDS, "starts": STARTS}


@dataclasses.dataclass(frozen=True)
class VisionConfig(ImitationConfig):
    """As ``ImitationConfig``; what the group "state" names is seen of the video (``envs.vision.terms``)."""

    tables: ClassVar[Mapping[str, tuple[Any, Mapping[str, Any]]]] = {
        field: (kind, ChainMap(_MORE.get(field, {}), terms)) for field, (kind, terms) in TABLES.items()
    }
