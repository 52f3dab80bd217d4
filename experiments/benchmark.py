"""How fast scores, simulation, furniture, training and recovery from video are here.

    python -m experiments.benchmark reward|simulate|train|plan|video|scenes|generator    (values: configs/benchmark.py)

Prints a table, stores everything as JSON with machine, versions and commit, and prints one JSON object as its last
line. For ``reward``: ``feasibility_fps, inverse_dynamics_fps, c_loop_fps, ratio, single_clip_ms, first_result_s``.
There, fps are frames per second of the fastest batch size, ``ratio`` is feasibility_fps over c_loop_fps (one thread),
``single_clip_ms`` the median time of one clip's feasibility reward, ``first_result_s`` the time from the start of a
new process without any compilation cache to its first score. For ``simulate``: physics steps per second of each
engine at its best batch size, and ``c_over_rollout``, engine "c" as a fraction of plain ``mujoco.rollout``. For
``plan``: per preset, seconds per second of motion, the search as a fraction of plain rollout of the same futures, and
control steps per label. For ``video``: frames per second of each stage from a video file to its score. For ``scenes``:
the speed of a person on furniture as a fraction of the bare humanoid's, and of different scenes in one batch as a
fraction of equal ones'. For ``generator``: samples, scored frames, updates of both objectives per second, sampling over
plain matrix products of as many multiplications, and what compiling the reward's gradient costs.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import mujoco
import numpy as np
from absl import flags
from ml_collections import config_dict

import mjxhuman
from mjxhuman.math import rotation
from mjxhuman.runs import atomic_write, describe, enable_compile_cache
from mjxhuman.runs.environment import cpu_count
from mjxhuman.scenes import HeightField, Plane

from . import (
    benchmark_generator,
    benchmark_plan,
    benchmark_scenes,
    benchmark_simulate,
    benchmark_train,
    benchmark_video,
)
from .launch import launch

ROOT = Path(__file__).resolve().parents[__package__.count(".") + 1]  # what this package is imported from


def measure(call: Callable[[], Any], seconds: float, least: int = 5) -> dict[str, float]:
    """First call, then repeated calls for ``seconds`` and at least ``least`` times: times in s."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    first, times = time.perf_counter() - start, []
    while len(times) < least or sum(times) < seconds:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return {"first": first, "median": statistics.median(times), "best": min(times), "runs": len(times)}


def smooth_angles(shape: tuple[int, int, int], fps: float, seed: int) -> np.ndarray:
    """Smooth random joint rotations (clips, frames, 69), rad: three sines of 0.3 to 2 Hz each, 0.2 rad rms."""
    clips, frames, count = shape
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / fps
    frequency, phase = (
        rng.uniform(0.3, 2.0, (2, clips, 1, count, 3)) * np.array([1.0, np.pi])[:, None, None, None, None]
    )
    return 0.2 * np.sqrt(2 / 3) * np.sin(2 * np.pi * frequency * t + phase).sum(-1)


def walk_forward(rest: np.ndarray, clips: int, frames: int, fps: float) -> np.ndarray:
    """Root coordinates (clips, frames, 7): the rest pose gliding at 1 m/s, bobbing by 2 cm."""
    root = np.tile(rest[:7], (clips, frames, 1))
    t = np.arange(frames) / fps
    root[..., 0] += t
    root[..., 2] += 0.02 * np.sin(2 * np.pi * 1.8 * t)
    return root


def ball_paths(humanoid: mjxhuman.Humanoid, angles: np.ndarray, fps: float) -> np.ndarray:
    """qpos (clips, frames, 99) of rotation vectors (clips, frames, 69), float32."""
    clips, frames, _ = angles.shape
    quat = np.asarray(rotation.exp(angles.reshape(clips, frames, 23, 3))).reshape(clips, frames, 92)
    return np.concatenate([walk_forward(humanoid.model.qpos0, clips, frames, fps), quat], -1).astype(np.float32)


def c_loop(model: mujoco.MjModel, qpos: np.ndarray, fps: float, threads: int, seconds: float) -> dict[str, float]:
    """Frames per second of C MuJoCo, frame by frame from Python, as the released scorer calls it.

    Per frame two ``mj_forward`` (contacts and constraint solver on) and one ``mj_mulM``; its own loops over bodies and
    joints, another fifth of its time, are left out. Each thread works on clips of its own.
    """
    qvel = np.zeros((len(qpos), model.nv))
    qvel[1:, :3], qvel[1:, 6:] = np.diff(qpos[:, :3], axis=0) * fps, np.diff(qpos[:, 7:], axis=0) * fps
    qacc = np.gradient(qvel, 1 / fps, axis=0)
    clips = [0] * threads
    stop = time.perf_counter() + seconds

    def work(thread: int) -> None:
        data, force = mujoco.MjData(model), np.zeros(model.nv)
        while not clips[thread] or time.perf_counter() < stop:
            for speed in (None, qvel):
                for t in range(len(qpos)):
                    data.qpos[:] = qpos[t]
                    data.qvel[:] = 0.0 if speed is None else speed[t]
                    mujoco.mj_forward(model, data)
                    if speed is not None:
                        mujoco.mj_mulM(model, data, force, qacc[t])
                        force += data.qfrc_bias
            clips[thread] += 1

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    fps_measured = sum(clips) * len(qpos) / (time.perf_counter() - start)
    return {"threads": threads, "fps": fps_measured, "ms_per_clip": 1e3 * threads * len(qpos) / fps_measured}


def on_the_floor(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """The path shifted so that its lowest foot body origin is at z = 0, as the released scorer does."""
    data, lowest = mujoco.MjData(model), np.inf
    feet = [model.body(name).id for name in ("L_Ankle", "R_Ankle", "L_Toe", "R_Toe")]
    for frame in qpos:
        data.qpos[:] = frame
        mujoco.mj_kinematics(model, data)
        lowest = min(lowest, data.xpos[feet, 2].min())
    shifted = qpos.copy()
    shifted[:, 2] -= lowest
    return shifted


def peak_memory_mb() -> float:
    """Largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def first_result() -> None:
    """Score one clip: what ``fresh_process`` runs in a new process."""
    enable_compile_cache()
    humanoid = mjxhuman.load_humanoid("smpl")
    qpos = ball_paths(humanoid, smooth_angles((1, 81, 69), 30.0, 0), 30.0)[0]
    print(float(mjxhuman.score(mjxhuman.motion_from_qpos(humanoid, qpos, 30.0)).total))


def fresh_process() -> dict[str, float]:
    """Seconds from the start of a new process to its first score: empty compilation cache, filled cache (best of 3)."""
    code = f"from {__package__}.benchmark import first_result; first_result()"
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | {"MJXHUMAN_CACHE": cache}
        times = []
        for _ in range(4):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
            )
            times.append(time.perf_counter() - start)
    return {"cold": times[0], "cached": min(times[1:])}


def reward(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of the rewards; the keys are those of the JSON file."""
    humanoid = mjxhuman.load_humanoid("smpl")
    frames, fps = config.frames, config.fps
    rows = []
    slope = Plane(normal=np.array([0.1, 0.0, 1.0]))
    heights = HeightField(np.zeros((200, 200)), np.array([-2.0, -2.0]), np.float64(0.02))
    for clips in config.batches:
        qpos = ball_paths(humanoid, smooth_angles((clips, frames, 69), fps, config.seed), fps)
        motion = mjxhuman.motion_from_qpos(humanoid, qpos[0] if clips == 1 else qpos, fps)
        calls = {
            "inverse_dynamics": lambda m=motion: mjxhuman.inverse_dynamics(humanoid, m.qpos, m.qvel, m.qacc),
            "phymotion": lambda m=motion: mjxhuman.score(m, reward="phymotion").total,
            "feasibility": lambda m=motion: mjxhuman.score(m).total,
            "feasibility_slope": lambda m=motion: mjxhuman.score(m, surface=slope).total,
            "feasibility_heights": lambda m=motion: mjxhuman.score(m, surface=heights).total,
            "qpos_to_feasibility": lambda q=qpos: mjxhuman.score(mjxhuman.motion_from_qpos(humanoid, q, fps)).total,
        }
        for name, call in calls.items():
            found = measure(call, config.seconds)
            row = {
                "function": name,
                "clips": clips,
                "frames": frames,
                "fps": clips * frames / found["median"],
                "ms": 1e3 * found["median"],
                "best_ms": 1e3 * found["best"],
                "compile_s": max(0.0, found["first"] - found["median"]),
                "peak_memory_mb": peak_memory_mb(),
                "runs": found["runs"],
            }
            rows.append(row)
            print(
                f"{name:20s} {clips:5d} clips  {row['fps']:12,.0f} frames/s  {row['ms']:9.2f} ms"
                f"  first call +{row['compile_s']:6.2f} s  peak {row['peak_memory_mb']:6.0f} MB"
            )
    peer = mjxhuman.load_humanoid(config.peer) if config.peer else mjxhuman.load_humanoid("smpl", layout="hinge")
    angles = smooth_angles((1, frames, peer.nv - 6), fps, config.seed)[0]
    path = on_the_floor(peer.model, np.concatenate([walk_forward(peer.model.qpos0, 1, frames, fps)[0], angles], -1))
    loops = [c_loop(peer.model, path, fps, threads, config.seconds) for threads in sorted({1, cpu_count()})]
    for loop in loops:
        print(
            f"C MuJoCo, {loop['threads']:2d} threads  {loop['fps']:27,.0f} frames/s  {loop['ms_per_clip']:9.2f} ms/clip"
        )
    result = {
        "benchmark": "reward",
        "environment": describe(),
        "config": config.to_dict(),
        "rows": rows,
        "c_loop": loops,
    }
    if config.fresh_process:
        result["first_result_s"] = fresh_process()
        print(
            "first result of a new process: {cold:.1f} s, with a compilation cache {cached:.1f} s".format(
                **result["first_result_s"]
            )
        )
    return result


def headline(result: dict[str, Any]) -> dict[str, float]:
    """The one-line summary of the module's docstring; null for what was not measured."""
    rows = result["rows"]
    fastest = {row["function"]: max(r["fps"] for r in rows if r["function"] == row["function"]) for row in rows}
    single = [row["ms"] for row in rows if row["function"] == "feasibility" and row["clips"] == 1]
    c_loop_fps = result["c_loop"][0]["fps"]
    return {
        "feasibility_fps": round(fastest["feasibility"]),
        "inverse_dynamics_fps": round(fastest["inverse_dynamics"]),
        "c_loop_fps": round(c_loop_fps),
        "ratio": round(fastest["feasibility"] / c_loop_fps, 1),
        "single_clip_ms": round(single[0], 3) if single else None,
        "first_result_s": round(result["first_result_s"]["cold"], 2) if "first_result_s" in result else None,
    }


#: What measures, and what summarises the result in one line.
BENCHMARKS = {
    "reward": (reward, headline),
    "simulate": (benchmark_simulate.simulate, benchmark_simulate.headline),
    "plan": (benchmark_plan.plan, benchmark_plan.headline),
    "train": (benchmark_train.train, benchmark_train.headline),
    "video": (benchmark_video.video, benchmark_video.headline),
    "scenes": (benchmark_scenes.scenes, benchmark_scenes.headline),
    "generator": (benchmark_generator.generator, benchmark_generator.headline),
}


def main(argv: Sequence[str]) -> int:
    """Entry point of absl: one benchmark by name."""
    if len(argv) != 2 or argv[1] not in BENCHMARKS:
        print(
            f"benchmark: name one of {', '.join(BENCHMARKS)}, found {' '.join(argv[1:]) or 'nothing'}", file=sys.stderr
        )
        return 2
    config = flags.FLAGS.config
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured
    run, summarise = BENCHMARKS[argv[1]]
    try:
        result = run(config)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    result["headline"] = summarise(result)
    out = config.out or f"out/benchmark/{argv[1]}.json"
    with atomic_write(out) as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    print(f"written: {out}")
    print(json.dumps(result["headline"]))
    return 0


if __name__ == "__main__":
    launch(main, "benchmark")
