"""What a training begins with instead of random numbers: another one's policy, and its step model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

#: Facts of the simulated body that a step model has learned.
_BODY = ("humanoid", "contacts", "tuning", "control_hz")


class Beginning(NamedTuple):
    """Nothing where a training begins at random."""

    policy: Any = None
    facts: Mapping[str, Any] | None = None  # of the policy
    model: Any = None  # ``StepModelState``


def beginning(start_from: str, who: str) -> Beginning:
    """Of a policy's file, a run's folder or a shipped tracker's name; "" for nothing.

    The step model is the one in the same folder, if it has learned the policy's body; a line on stderr after ``who``
    says so.

    Raises:
        FileNotFoundError, ValueError: no policy there, or a file that is broken.
    """
    from mjxhuman.learning.policy import load_policy
    from mjxhuman.learning.step_model import load_step_model
    from mjxhuman.learning.supertrack import STEP_MODEL
    from mjxhuman.tracking.tracker import policy_file, tracker_file

    if not start_from:
        return Beginning()
    path = policy_file(tracker_file(start_from))
    policy, facts = load_policy(path)
    file, model = path.parent / STEP_MODEL, None
    if file.is_file():
        model, learned = load_step_model(file)
        if any(learned.get(name) != facts.get(name) for name in _BODY):
            model = None
    print(f"{who}: begins with {path}, " + ("and a fresh step model" if model is None else f"{file}"), file=sys.stderr)
    return Beginning(policy, facts, model)


def check_task(path: str, learned: Mapping[str, Any], task: Any) -> None:
    """Raises ValueError: a policy whose observations or actions stand for something else than those of this task.

    What it sees must be the first of what this task's policy sees.
    """
    from mjxhuman.envs.imitation.config import task_config

    before = task_config(learned["task"], type(task))
    seen, sees = (tuple(dict(x.groups)["state"]) for x in (before, task))
    pairs = {"action": (before.action, task.action), "groups.state": (seen, sees[: len(seen)])}
    for name, (there, here) in pairs.items():
        if there != here:
            raise ValueError(f"{path}: {name}: expected {here!r} of this task, the policy was trained with {there!r}")
