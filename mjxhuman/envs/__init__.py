"""Environments: a body, a task and observations as pure functions of a batch of states."""

from mjxhuman.envs.env import Env, State, auto_reset, first_state, split, where_done

__all__ = ["Env", "State", "auto_reset", "first_state", "split", "where_done"]
