"""The task of tracking recorded motion."""

from mjxhuman.envs.imitation.task import Imitation, ImitationConfig, make_imitation

__all__ = ["Imitation", "ImitationConfig", "make_imitation"]
