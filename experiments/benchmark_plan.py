"""How fast the planner is beside the physics alone: ``python -m experiments.benchmark plan``.

All parts simulate the same futures: those of planning the built-in walk, two seconds of it, once per preset. "rollout"
is ``mujoco.rollout`` on all cores under controls of that shape, from the state the walk begins in (the limit on a CPU);
"engine" is the call the planner makes (``rollout_host``: the same, with states copied out); "search" is the whole
search, with sampling, costs and steps. In turns, by processor time, so that what else the machine does hits all alike.

A control step of a sample is four physics steps. A *label*, one action of the planner in closed loop, costs
``label_steps`` control steps (samples times improvements times horizon, over the steps that are carried out).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from ml_collections import config_dict
from mujoco.rollout import Rollout

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.physics.engines.c import CEngine
from mjxhuman.planning import Planner, default_planner
from mjxhuman.planning.reference import Reference, make_reference
from mjxhuman.planning.search import Search
from mjxhuman.runs import describe, prepare_jax
from mjxhuman.runs.environment import cpu_count
from mjxhuman.tracking.evaluate import first_seconds, usable


def futures(search: Search, reference: Reference) -> list[np.ndarray]:
    """Controls (n, H, nu) of every call that planning the reference makes of the engine, one improvement each."""
    calls: list[np.ndarray] = []
    simulate = search._futures

    def seen(state: Any, ctrl: np.ndarray) -> Any:
        calls.append(np.array(ctrl))
        return simulate(state, ctrl)

    search._futures = seen  # type: ignore[method-assign]
    try:
        search.run(reference, seed=0)
    finally:
        del search._futures
    return calls


def rollout_call(planner: Planner, reference: Reference, calls: list[np.ndarray]) -> Callable[[], None]:
    """A call that simulates the same futures with ``mujoco.rollout``, in float64."""
    model, substeps = planner.simulator.actuated.model, planner.simulator.substeps
    state = np.zeros((1, mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)))
    state[:, 1 : 1 + model.nq], state[:, 1 + model.nq : 1 + model.nq + model.nv] = reference.qpos[0], reference.qvel[0]
    threads = cpu_count()
    pool, data = Rollout(nthread=threads), [mujoco.MjData(model) for _ in range(threads)]

    def call() -> None:
        for ctrl in calls:
            steps = np.repeat(ctrl, substeps, axis=1)
            pool.rollout([model], data, np.repeat(state, len(ctrl), 0), steps)

    return call


def engine_call(planner: Planner, reference: Reference, calls: list[np.ndarray]) -> Callable[[], None]:
    """A call that simulates the same futures as the planner does."""
    engine, still = planner.simulator.backend, np.zeros((1, reference.qvel.shape[1]))
    assert isinstance(engine, CEngine)

    def call() -> None:
        for ctrl in calls:
            engine.rollout_host(reference.qpos[:1], reference.qvel[:1], still, ctrl)

    return call


def processor_seconds(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """Fewest seconds of processor time, and by the clock, of each call after its first, in turns."""
    best = {}
    for name, call in calls.items():
        call()
        best[name] = (np.inf, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            spent, began = time.process_time(), time.perf_counter()
            call()
            found = time.process_time() - spent, time.perf_counter() - began
            best[name] = (min(best[name][0], found[0]), min(best[name][1], found[1]))
    return best


def plan(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of planning; the keys are those of the JSON file."""
    prepare_jax()
    rows = []
    for preset in config.plan.presets:
        planner = default_planner(preset, engine="c")
        walk = first_seconds(mjxhuman.load_motion(builtin_path("walk"), planner.humanoid), config.plan.seconds)
        walk = usable(walk, planner.humanoid, planner.fps, "walk")
        reference = make_reference(walk, planner.simulator)
        calls = futures(planner.search, reference)
        found = processor_seconds(
            {
                "rollout": rollout_call(planner, reference, calls),
                "engine": engine_call(planner, reference, calls),
                "search": functools.partial(planner.search.run, reference, seed=0),
            },
            config.plan.repeats,
        )
        steps, seconds = sum(c.shape[0] * c.shape[1] for c in calls), (reference.frames - 1) / planner.fps
        s = planner.search.settings
        for part, (spent, clock) in found.items():
            rows.append({
                "preset": preset, "part": part, "processor_s_per_s": spent / seconds, "clock_s_per_s": clock / seconds,
                "control_steps": steps, "control_steps_per_processor_s": steps / spent,
                "label_steps": s.samples * s.improvements * s.horizon / s.every,
            })  # fmt: skip
            cost = (
                f"{spent / seconds:6.2f} s of processor time, {clock / seconds:6.2f} by the clock per second of motion"
            )
            speed = f"{steps / spent:9,.0f} control steps/s  {found['rollout'][0] / spent:5.0%} of rollout"
            print(f"{preset:9s} {part:8s} {cost}  {speed}", flush=True)
    return {"benchmark": "plan", "environment": describe(), "config": config.plan.to_dict(), "rows": rows}


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Per preset: processor and clock seconds per second of motion, share of plain rollout, control steps per label."""
    spent = {(row["preset"], row["part"]): row for row in result["rows"]}
    summary = {}
    for preset, part in spent:
        if part == "search":
            row, bare = spent[preset, part], spent[preset, "rollout"]
            summary[preset] = {
                "processor_s_per_s": round(row["processor_s_per_s"], 2),
                "clock_s_per_s": round(row["clock_s_per_s"], 2),
                "over_rollout": round(bare["processor_s_per_s"] / row["processor_s_per_s"], 2),
                "label_steps": round(row["label_steps"]),
            }
    return summary
