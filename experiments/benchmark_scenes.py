"""The part of the benchmark that measures people on furniture; see experiments/benchmark.py.

A person sits on a bench of legs, slats and bars: so many convex pieces, padded to the bucket's ``pieces``, as boxes and
as hulls of 32 corners. The peer is the bare humanoid, standing. All run under engine "c" towards targets that are drawn
anew at each control step (normal, ``target_std`` rad, about the pose), in turns; what counts is processor time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

import mjxhuman
from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.math import quaternion
from mjxhuman.physics.engines.c import CEngine
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.runs import describe
from mjxhuman.scenes.compose import Composed, common_layout, compose
from mjxhuman.scenes.convex import pack
from mjxhuman.scenes.decomposition.hulls import with_corners
from mjxhuman.scenes.furniture.pieces import box, mesh_of
from mjxhuman.scenes.objects import make_object
from mjxhuman.scenes.types import Scene, resting

#: m: height of the pelvis in the pose below, its soles on the floor, and of what its thighs rest on.
PELVIS, SEAT = 0.5505, 0.3735
_BENDS = {
    "L_Hip": ((1, 0, 0), -92), "R_Hip": ((1, 0, 0), -92), "L_Knee": ((1, 0, 0), 92), "R_Knee": ((1, 0, 0), 92),
    "L_Shoulder": ((0, 0, 1), -70), "R_Shoulder": ((0, 0, 1), 70),
}  # fmt: skip


def seated(humanoid: mjxhuman.Humanoid) -> np.ndarray:
    """Coordinates (nq,) of the default body with thighs level and shanks upright, looking along +x."""
    model, qpos = humanoid.model, humanoid.model.qpos0.copy()
    qpos[:3] = 0.0, 0.0, PELVIS
    for name, (axis, degrees) in _BENDS.items():
        at = model.jnt_qposadr[model.body_jntadr[model.body(name).id]]
        qpos[at : at + 4] = quaternion.about(np.array(axis, float), np.deg2rad([degrees]))[0]
    return qpos


def bench(pieces: int, hulls: bool) -> Scene:
    """A bench of four legs, up to four slats under the thighs of the pose, and all else bars of its back."""
    slats = min(4, pieces - 4)
    edges, bars = np.linspace(-0.25, 0.27, slats + 1), np.linspace(-0.3, 0.26, pieces - 4 - slats)
    made = [box("seat", (a, -0.3, SEAT - 0.04), (b, 0.3, SEAT)) for a, b in itertools.pairwise(edges)]
    for x in (-0.25, 0.21):
        made += [box("leg", (x, y, 0.0), (x + 0.06, y + 0.06, SEAT - 0.04)) for y in (-0.3, 0.24)]
    made += [box("back", (-0.29, y, SEAT - 0.04), (-0.25, y + 0.02, SEAT + 0.45)) for y in bars]
    corners = [with_corners(piece.corners)[0] if hulls else piece.corners for piece in made]
    thing = make_object(mesh_of(made), pack(corners), "bench", mass=15.0)
    return Scene((thing,), resting((thing,)))


def call(models: Sequence[Actuated], start: np.ndarray, config: config_dict.ConfigDict) -> Callable[[], Any]:
    """A call that simulates the work, environment i in model ``i % len(models)`` from state ``start[i]``."""
    simulator = make_simulator(models[0], "c", variants=[m.model for m in models])
    backend, rng = simulator.backend, np.random.default_rng(config.seed)
    assert isinstance(backend, CEngine)
    pose = np.asarray(simulator.joint_pos(jnp.asarray(start[:, simulator.address.qpos], jnp.float32)), float)
    ctrl = pose[:, None] + rng.normal(0, config.target_std, (len(start), config.control_steps, models[0].nu))
    still = np.zeros((len(start), models[0].model.nv))
    return lambda: backend.rollout_host(start, still, still, ctrl)


def starts(composed: Sequence[Composed], pose: np.ndarray, envs: int) -> np.ndarray:
    """States (envs, nq) of people in a pose, environment i in scene ``i % len(composed)``."""
    return np.array([composed[i % len(composed)].start(pose)[0] for i in range(envs)])


def measured(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Processor seconds of the cheapest of several calls each, taken in turns after a first that does not count."""
    best = dict.fromkeys(calls, np.inf)
    for number in range(repeats + 1):
        for name, run in calls.items():
            before = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - before) if number else np.inf
    return best


def scenes(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of people on furniture; the keys are those of the JSON file."""
    work = config_dict.ConfigDict({**config.scenes.to_dict(), "seed": config.seed})
    bare = actuated_humanoid(mjxhuman.load_humanoid("smpl"))
    pose, standing = seated(bare.humanoid), np.tile(bare.model.qpos0, (work.envs, 1))
    standing[:, 2] -= 1e-3
    wanted = [(f"boxes_{n}", bench(n, False)) for n in work.boxes] + [
        (f"hulls_{n}", bench(n, True)) for n in work.hulls
    ]
    calls = {"bare": call([bare], standing, work)}
    for name, scene in wanted:
        composed = [compose(bare.humanoid, scene, common_layout([scene], work.pieces))]
        calls[name] = call([composed[0].actuated], starts(composed, pose, work.envs), work)
    layout = common_layout([scene for _, scene in wanted], work.pieces)
    together = [compose(bare.humanoid, scene, layout) for _, scene in wanted]
    calls["mixed"] = call([c.actuated for c in together], starts(together, pose, work.envs), work)
    for number, one in enumerate(together):
        calls[f"equal_{number}"] = call([one.actuated], starts([one], pose, work.envs), work)
    rows, steps = [], work.envs * work.control_steps * 4
    for name, seconds in measured(calls, work.repeats).items():
        rows.append({"name": name, "processor_s": seconds, "physics_steps_per_processor_s": steps / seconds})
        print(f"{name:10s} {steps / seconds:10,.0f} physics steps per processor second", flush=True)
    return {"benchmark": "scenes", "environment": describe(), "config": config.to_dict(), "rows": rows}


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Speed of each kind of furniture over that of the bare humanoid; of mixed batches over that of equal ones."""
    cost = {row["name"]: row["processor_s"] for row in result["rows"]}
    found = {f"{n}_over_bare": round(cost["bare"] / s, 2) for n, s in cost.items() if n.startswith(("boxes", "hulls"))}
    equal = [s for n, s in cost.items() if n.startswith("equal")]
    return {**found, "mixed_over_equal": round(sum(equal) / len(equal) / cost["mixed"], 2)}
