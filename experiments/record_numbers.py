"""What the product computes on a fixed set of inputs, as one file; two such files compared number by number.

    python -m experiments.record_numbers --out=before.npz
    python -m experiments.record_numbers --out=after.npz --compare=before.npz

For changes that are not meant to change a number: record before, change, compare. Retargeted coordinates, forces,
scores (ours and the published ones), recovered motion, observations, rewards and a roll-out of the shipped tracker; on
the built-in clips and, where the folder of shared development data exists, on one file of each of several kinds.
``JAX_ENABLE_X64=1`` records float64.

Exit code: 0 recorded, and equal within ``--tolerance``; 1 numbers differ (each is named); 2 nothing to compare with.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.runs import prepare_jax, progress

from .launch import launch

_OUT = flags.DEFINE_string("out", None, "where to write the numbers (.npz)", required=True)
_COMPARE = flags.DEFINE_string("compare", None, "an earlier file to compare with")
_TOLERANCE = flags.DEFINE_float("tolerance", 0.0, "largest difference, relative to an array's largest number")

#: Files of the shared data, one of a kind: a flip, a crawl, other rigs, SMPL parameters.
_SHARED = (
    "cmu_amc/02/02_01.amc", "cmu_amc/07/07_01.amc", "deepmimic/humanoid3d_backflip.txt",
    "deepmimic/humanoid3d_crawl.txt", "cmu_bvh_cc/005_02.bvh", "mass_bvh/dance.bvh",
    "asap_smpl/video_squat_level1_filter_amass.npz",
)  # fmt: skip
STEPS = 30


def shared_files() -> list[Path]:
    """The files of the shared data that are there."""
    folder = Path(os.environ.get("MJXHUMAN_SHARED", "../shared")) / "data"
    return [folder / name for name in _SHARED if (folder / name).is_file()]


def motion_numbers(motion: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Coordinates, forces and scores of a motion."""
    import mjxhuman

    for field in ("qpos", "qvel", "qacc", "body_pos", "body_quat"):
        yield field, np.asarray(getattr(motion, field))
    forces = mjxhuman.analyse(motion)
    for field in ("grf", "cop", "joint_torque", "residual", "external_support", "com_acc", "power"):
        yield f"forces/{field}", np.asarray(getattr(forces, field))
    for reward in ("feasibility", "phymotion"):
        scores = mjxhuman.score(motion, reward=reward)
        yield f"{reward}/total", np.asarray(scores.total)
        for group in ("axes", "terms", "frames"):
            for name, value in getattr(scores, group).items():
                yield f"{reward}/{group}/{name}", np.asarray(value)


def tracking_numbers(motions: list[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Observations, rewards and states of a shipped tracker's policy on the clips, in each engine that is cheap."""
    import jax
    import jax.numpy as jnp

    from mjxhuman.envs.clips import make_library
    from mjxhuman.envs.imitation import make_imitation
    from mjxhuman.tracking.tracker import load_tracker

    tracker = load_tracker("ppo", engine="c")
    env = make_imitation(make_library(motions, tracker.fps), tracker.simulator, tracker.config)
    clip = jnp.arange(len(motions), dtype=jnp.int32)
    state = jax.jit(env.start)(jax.random.split(jax.random.key(0), clip.size), clip, jnp.zeros_like(clip))

    @jax.jit
    def roll(state: Any) -> Any:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            state = env.step(state, jnp.clip(tracker.policy(state.obs), -1.0, 1.0))
            return state, (state.obs, state.reward, state.done, state.metrics, state.sim.qpos, state.sim.qvel)

        return jax.lax.scan(step, state, length=STEPS)[1]

    names = ("obs", "reward", "done", "metrics", "qpos", "qvel")
    for name, tree in zip(names, roll(state), strict=True):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            yield f"tracker/{name}{jax.tree_util.keystr(path)}", np.asarray(leaf)


def keypoint_numbers() -> Iterator[tuple[str, np.ndarray]]:
    """Motion recovered from the built-in walk as one camera sees it."""
    import mjxhuman
    from mjxhuman.data.cameras import level_camera
    from mjxhuman.recovery.recover import recover_with_report
    from mjxhuman.types import SMPL_JOINTS, Keypoints

    motion = mjxhuman.load_motion(_builtin("walk"))
    pos = np.asarray(motion.body_pos, np.float64)[:40, motion.humanoid.smpl_body_ids]
    x, y, z = pos[..., 1] - pos[:1, :1, 1], -(pos[..., 2] - 1.0), pos[..., 0] - pos[:1, :1, 0] + 6.0
    camera = level_camera((1280, 720), 1000.0)
    uv = np.stack([1000.0 * x / z + 640.0, 1000.0 * y / z + 360.0], -1)
    points = Keypoints(uv, np.ones(uv.shape[:-1]), tuple(SMPL_JOINTS), motion.fps, (1280, 720))
    recovered, _ = recover_with_report(points, camera, None, estimate=("stature",), ground="stance")
    yield "recovered/qpos", np.asarray(recovered.qpos)


def _builtin(name: str) -> Path:
    from mjxhuman.data.builtin import builtin_path

    return Path(builtin_path(name))


def record() -> dict[str, np.ndarray]:
    """All numbers, by name."""
    import jax

    import mjxhuman

    files = [_builtin("walk"), _builtin("jump"), *shared_files()]
    body, numbers, tracked = mjxhuman.load_humanoid("smpl"), {}, []
    with progress(len(files) + 2, unit="part", label="record") as bar:
        for path in files:
            motion = mjxhuman.load_motion(path, body)
            tracked.append(motion)
            numbers |= {f"{path.name}/{name}": value for name, value in motion_numbers(motion)}
            bar.update()
        numbers |= dict(keypoint_numbers())
        bar.update()
        if not jax.config.jax_enable_x64:  # environments are float32
            numbers |= dict(tracking_numbers(tracked))
        bar.update()
    return numbers


def differences(new: dict[str, np.ndarray], old: dict[str, np.ndarray], tolerance: float) -> list[str]:
    """One line for each array that differs."""
    lines = [f"{name}: only in one of the two" for name in sorted(set(new) ^ set(old))]
    for name in sorted(set(new) & set(old)):
        a, b = new[name], old[name]
        if a.shape != b.shape:
            lines.append(f"{name}: shape {a.shape}, was {b.shape}")
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            lines.append(f"{name}: NaN elsewhere than before")
            continue
        scale = float(np.max(np.abs(np.nan_to_num(b)), initial=1e-12))
        worst = float(np.max(np.abs(np.nan_to_num(a - b)), initial=0.0)) / scale
        if worst > tolerance:
            lines.append(f"{name}: differs by {worst:.2e} of its largest number, {scale:.4g}")
    return lines


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1 or (_COMPARE.value and not Path(_COMPARE.value).is_file()):
        print(f"record_numbers: unexpected arguments, or no such file: {argv[1:] or _COMPARE.value}", file=sys.stderr)
        return 2
    prepare_jax()
    numbers = record()
    np.savez_compressed(_OUT.value, **{name.replace("/", "|"): value for name, value in numbers.items()})
    print(f"{len(numbers)} arrays: {_OUT.value}")
    if not _COMPARE.value:
        return 0
    with np.load(_COMPARE.value) as file:
        lines = differences(numbers, {name.replace("|", "/"): file[name] for name in file.files}, _TOLERANCE.value)
    print("\n".join(lines) or "equal")
    return 1 if lines else 0


if __name__ == "__main__":
    launch(main)
