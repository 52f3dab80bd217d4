"""A tracker: a policy together with the body, the engine and the task that it was trained for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from mjxhuman.envs.imitation import ImitationConfig, task_config
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.tuning import tuning_from
from mjxhuman.learning.agents import Agent
from mjxhuman.learning.policy import Policy, load_policy
from mjxhuman.physics.simulate import Simulator, make_simulator
from mjxhuman.version import __version__

_FOLDER = Path(__file__).parent / "shipped"
#: The trackers that are part of the package, by name, as ``docs/tracking.md`` tells of them: "expert" has learned plans
#: and raw clips through a learned simulator, "ppo" twenty clips by PPO.
SHIPPED = {"expert": _FOLDER / "expert.npz", "ppo": _FOLDER / "ppo.npz"}
#: The one that stands in where none is named.
DEFAULT = "expert"

#: Trackers without a policy, by name: the kind of agent and the action it takes. "zero" holds the T-pose, "random" has
#: random targets for its servos, and "reference" plays the motion back: feed-forward torques and servos, no feedback
#: on where the body is.
UNTRAINED = {"zero": ("zero", "absolute"), "random": ("random", "absolute"), "reference": ("zero", "residual")}

_TASK = "imitation"


@dataclasses.dataclass(frozen=True, eq=False)
class Tracker:
    """What ``load_tracker`` returns."""

    policy: Policy | Agent
    simulator: Simulator
    config: ImitationConfig
    facts: dict[str, Any]  # all of the policy file, how it was trained included
    path: Path

    @property
    def humanoid(self) -> Humanoid:
        """The body whose coordinates motions must be in."""
        return self.simulator.actuated.humanoid

    @property
    def fps(self) -> float:
        """Control steps, and reference frames, per second."""
        return 1.0 / self.simulator.dt


def tracker_facts(simulator: Simulator, config: ImitationConfig) -> dict[str, Any]:
    """JSON-ready facts of a policy file from which ``load_tracker`` builds body, engine and task anew.

    A run that trains a tracker passes them to ``learning.trainer.train`` or ``learning.policy.save_policy``.
    """
    actuated = simulator.actuated
    body = actuated.humanoid
    return {
        "kind": _TASK,
        "mjxhuman": __version__,
        "humanoid": body_facts(body),
        **actuated.facts,
        "control_hz": round(1.0 / simulator.dt, 6),
        "task": config.facts(),
    }


def body_facts(body: Humanoid) -> dict[str, Any]:
    """Arguments of ``load_humanoid`` that give the body again."""
    as_it_is = body.source is not None or body is load_humanoid("smpl")
    return body.origin | ({} if as_it_is else {"stature": body.stature, "mass": body.mass})


def load_tracker(
    path: str | os.PathLike[str] | None = None, engine: str | None = None, humanoid: Humanoid | None = None
) -> Tracker:
    """A tracker from a policy file.

    Args:
        path: the file, or the folder of a training run (its best policy); a name in ``SHIPPED`` or ``UNTRAINED``; None:
            the default of those that are shipped.
        engine: of the simulation; None: the fastest here.
        humanoid: the body; None: the one that the file names, for ``UNTRAINED`` the default one. A file of a robot
            names its model's path, which may have moved since.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a policy file, or one that was not trained to track, or whose facts this version does not know
            (file, field, expected and found are named).
    """
    if path in UNTRAINED:
        return _untrained(str(path), engine, humanoid)
    return load_kind(tracker_file(path), _TASK, ImitationConfig, engine, humanoid)


def tracker_file(path: str | os.PathLike[str] | None) -> Path:
    """Where a tracker lies that is named as ``load_tracker`` takes it."""
    name = os.fspath(DEFAULT if path is None else path)
    return SHIPPED.get(name, Path(name))


def policy_file(path: str | os.PathLike[str]) -> Path:
    """A policy's file; of the folder of a training run its best one, or the latest where none was judged."""
    path = Path(path)
    if not path.is_dir():
        return path
    best, latest = path / "best.npz", path / "policy.npz"
    return best if best.is_file() else latest


def load_kind(
    path: str | os.PathLike[str],
    kind: str,
    task: type[ImitationConfig],
    engine: str | None = None,
    humanoid: Humanoid | None = None,
) -> Tracker:
    """A policy of a kind, with the task that it was trained for; see ``load_tracker``."""
    path = policy_file(path)
    policy, facts = load_policy(path, {"kind": kind})
    config = _config(path, facts.get("task"), task)
    for name, of in (("humanoid", dict), ("contacts", str), ("control_hz", float | int)):
        if not isinstance(facts.get(name), of):
            raise ValueError(f"{path}: {name}: expected the facts of a tracker, found {facts.get(name)!r}")
    body = dict(facts["humanoid"])
    try:
        loaded = load_humanoid(body.pop("name"), **body) if humanoid is None else humanoid
        actuated = actuated_humanoid(loaded, facts["contacts"], tuning=tuning_from(facts.get("tuning"), path))
        simulator = make_simulator(actuated, engine, control_hz=facts["control_hz"])
    except (KeyError, TypeError) as error:
        found = facts["humanoid"]
        raise ValueError(f"{path}: humanoid: expected name and options of a body, found {found!r}") from error
    if policy.networks.action_size != (actions := len(config.driven(actuated))):
        raise ValueError(
            f"{path}: expected {actions} actions for {actuated.humanoid.name!r}, found {policy.networks.action_size}"
        )
    return Tracker(policy, simulator, config, facts, path)


def _untrained(name: str, engine: str | None, humanoid: Humanoid | None) -> Tracker:
    kind, action = UNTRAINED[name]
    simulator = make_simulator(actuated_humanoid(humanoid or load_humanoid("smpl")), engine)
    # the observations are the smallest: no network sees them
    config = ImitationConfig(action=action, groups={"state": ("compact",)})
    facts = tracker_facts(simulator, config) | {"agent": name}
    return Tracker(Agent(kind, simulator.actuated.nu), simulator, config, facts, Path(name))


def _config(path: Path, values: Any, task: type[ImitationConfig]) -> ImitationConfig:
    if not isinstance(values, dict):
        raise ValueError(f"{path}: task: expected a table of fields, found {values!r}")
    try:
        return task_config(values, task)
    except ValueError as error:
        raise ValueError(f"{path}: task: {error}") from None
