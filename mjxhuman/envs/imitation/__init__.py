"""The task of tracking recorded motion."""

from mjxhuman.envs.imitation.config import ImitationConfig, task_config
from mjxhuman.envs.imitation.task import Imitation, make_imitation

__all__ = ["Imitation", "ImitationConfig", "make_imitation", "task_config"]
