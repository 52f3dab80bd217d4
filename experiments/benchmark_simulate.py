"""The part of the benchmark that measures forward simulation; see experiments/benchmark.py.

The work is the same for all: bodies standing in the T-pose, a millimetre deep in the floor, with new random targets
(normal, ``target_std`` rad) at every control step, for ``control_steps`` steps. Each engine runs it as one jitted
scan. Beside them, in turns, ``mujoco.rollout`` steps the same model through the same targets in a single call, with
nothing between the steps: the limit on a CPU.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from ml_collections import config_dict
from mujoco.rollout import Rollout

import mjxhuman
from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.physics.simulate import Simulator, make_simulator
from mjxhuman.runs import describe, prepare_jax
from mjxhuman.runs.environment import cpu_count


def resident_mb() -> float:
    """Resident size of this process now (Linux; 0 elsewhere)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return 0.0


def peak_while(call: Callable[[], Any]) -> tuple[Any, float]:
    """What ``call`` returns, and the largest resident size (MB) seen during it beyond that before it."""
    before, peak, done = resident_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = call()
    finally:
        done.set()
        watcher.join()
    return result, max(0.0, peak[0] - before)


def standing(actuated: Actuated, envs: int) -> np.ndarray:
    """Coordinates (envs, nq) of the T-pose, pressed into the floor as deep as the body settles."""
    qpos = np.tile(actuated.model.qpos0, (envs, 1)).astype(np.float32)
    qpos[:, 2] -= 1e-3
    return qpos


def random_targets(actuated: Actuated, envs: int, config: config_dict.ConfigDict) -> np.ndarray:
    """Targets (control_steps, envs, nu), rad."""
    rng = np.random.default_rng(config.seed)
    return rng.normal(0, config.target_std, (config.control_steps, envs, actuated.nu)).astype(np.float32)


def engine_call(sim: Simulator, envs: int, config: config_dict.ConfigDict) -> Callable[[], Any]:
    """A call that simulates the work in one compiled program."""
    state = sim.init(standing(sim.actuated, envs))
    ctrl = jnp.asarray(random_targets(sim.actuated, envs, config))
    program = jax.jit(lambda s, u: jax.lax.scan(lambda s, u: (sim.advance(s, u), None), s, u)[0])
    return lambda: jax.block_until_ready(program(state, ctrl))


def rollout_call(actuated: Actuated, envs: int, substeps: int, config: config_dict.ConfigDict) -> Callable[[], Any]:
    """A call that simulates the work with ``mujoco.rollout`` on all cores; arrays and threads are made beforehand."""
    model, threads = actuated.model, cpu_count()
    data = [mujoco.MjData(model) for _ in range(threads)]
    size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
    start, data[0].qpos[:] = np.zeros(size), standing(actuated, 1)[0]
    mujoco.mj_getState(model, data[0], start, mujoco.mjtState.mjSTATE_FULLPHYSICS.value)
    ctrl = np.repeat(random_targets(actuated, envs, config).swapaxes(0, 1), substeps, axis=1).astype(float)
    steps, initial = ctrl.shape[1], np.tile(start, (envs, 1))
    states, sensors = np.empty((envs, steps, size)), np.empty((envs, steps, model.nsensordata))
    pool, models, unset = Rollout(nthread=threads), [model] * envs, np.zeros((envs, model.nv))
    return lambda: pool.rollout(
        models, data, initial, ctrl, nstep=steps, skip_checks=True, initial_warmstart=unset, state=states,
        sensordata=sensors,
    )  # fmt: skip


def measure(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Of each call: seconds of the first and of the fastest later one, and the memory (MB) the first took.

    The later calls take turns, so that whatever else the machine does hits all of them.
    """
    found = {}
    for name, call in calls.items():
        start = time.perf_counter()
        _, memory = peak_while(call)
        found[name] = {"first": time.perf_counter() - start, "best": np.inf, "memory": memory}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name]["best"] = min(found[name]["best"], time.perf_counter() - start)
    return found


def simulate(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of forward simulation; the keys are those of the JSON file."""
    work, rows = config_dict.ConfigDict({**config.simulate.to_dict(), "seed": config.seed}), []
    if "c" in work.engines:
        prepare_jax()
    actuated = actuated_humanoid(mjxhuman.load_humanoid("smpl"), work.contacts, work.self_contacts)
    sims = {name: make_simulator(actuated, name) for name in work.engines}
    substeps = make_simulator(actuated, "c").substeps
    for envs in work.envs:
        calls = {"rollout": rollout_call(actuated, envs, substeps, work)}
        calls |= {n: engine_call(sim, envs, work) for n, sim in sims.items() if envs <= work.most_envs.get(n, envs)}
        for name, found in measure(calls, work.repeats).items():
            control = envs * work.control_steps / found["best"]
            row = {
                "engine": name, "envs": envs, "physics_steps_per_s": substeps * control, "control_steps_per_s": control,
                "compile_s": max(0.0, found["first"] - found["best"]), "memory_mb": found["memory"],
            }  # fmt: skip
            rows.append(row)
            speeds = f"{substeps * control:10,.0f} physics steps/s  {control:9,.0f} control steps/s"
            costs = f"first call +{row['compile_s']:6.2f} s  +{row['memory_mb']:6.0f} MB"
            print(f"{name:8s} {envs:6d} envs  {speeds}  {costs}", flush=True)
    return {"benchmark": "simulate", "environment": describe(), "config": config.to_dict(), "rows": rows}


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Physics steps per second of each engine at its best batch size, and engine "c" over plain rollout at its best."""
    best: dict[str, float] = {}
    for found in result["rows"]:
        best[found["engine"]] = max(best.get(found["engine"], 0.0), found["physics_steps_per_s"])
    summary = {f"{name}_physics_steps_per_s": round(speed) for name, speed in best.items()}
    ratio = round(best["c"] / best["rollout"], 2) if "c" in best else None
    return {**summary, "c_over_rollout": ratio}
