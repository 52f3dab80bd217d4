"""Align seated people with furniture from starts inside it and far from it: how many converge, and how fast.

    python -m experiments.align_scenes --config=align_scenes:test

Objects are the built-in furniture with a seat, drawn by seed, and any files named. Every one is sat on in every pose;
starts are the seated pose sunk into the seat by 0 to 15 cm, or moved by 0 to 30 cm in any direction of the upper half
space. A start has converged where penetration (of the contact along its direction, and of the whole body) and gap are
at most 5 mm, the seat faces the part from below, and the body is on the seat and not on an arm or rim.

Prints a table by method and kind of start, writes a line per start to ``starts.jsonl``, and ends with one JSON line.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import config_dict

from mjxhuman.runs import JsonLines, json_line
from mjxhuman.runs.launch import prepare_jax

from .launch import launch

#: m: starts up to the first limits must converge in 95 %, the others in 90 %.
DEEP, FAR = (0.10, 0.15), (0.15, 0.30)
#: m, how far above the seat's own height the lowest point of the buttocks may be found.
ON_SEAT = 0.03
#: Seated poses: arguments of ``mjxhuman.alignment.seated``.
POSES: dict[str, dict[str, Any]] = {
    "upright": {},
    "forward": {"lean": 20.0, "knee": 80.0},
    "back": {"lean": -18.0, "knee": 75.0},
    "crossed": {"crossed": True},
    "wide": {"apart": 20.0, "lean": 5.0, "knee": 100.0},
}


class Start(NamedTuple):
    """One thing to align."""

    kind: str  # "deep" or "far"
    by: float  # m
    object: str
    pose: str
    seed: int
    seat: float  # m, height of the seat
    motion: Any
    scene: Any


def scenes_of(config: config_dict.ConfigDict, seed: int) -> list[Any]:
    """Built-in furniture drawn for a seed, and the files named."""
    import mjxhuman

    kinds = [kind for kind in config.kinds.split(",") if kind]
    drawn = [
        mjxhuman.make_furniture(kind, seed=config.first + 1000 * seed + i)
        for kind in kinds
        for i in range(config.objects)
    ]
    return drawn + [facing_x(mjxhuman.load_scene(path)) for path in config.files.split(",") if path]


def facing_x(scene: Any) -> Any:
    """The scene of one object turned so that what stands highest, its back, is at -x; without a back, as it is."""
    points = np.asarray(scene.objects[0].points)
    back = points[points[:, 2] > points[:, 2].max() - 0.1, :2].mean(0)
    if np.linalg.norm(back) < 0.05:
        return scene
    half = 0.5 * (np.pi - np.arctan2(back[1], back[0]))
    poses = np.array(scene.poses)
    poses[0, 3:] = [np.cos(half), 0.0, 0.0, np.sin(half)]
    return dataclasses.replace(scene, poses=poses)


def starts_of(config: config_dict.ConfigDict, humanoid: Any) -> Iterator[Start]:
    """All starts of a configuration."""
    from mjxhuman.alignment import seated
    from mjxhuman.scenes.sdf import scene_surface
    from mjxhuman.scenes.surface import height_below

    for seed in range(config.seeds):
        rng = np.random.default_rng([config.first, seed])
        for scene in scenes_of(config, seed):
            seat = float(height_below(scene_surface(scene), np.zeros(2), 1.2))
            for pose, arguments in POSES.items():
                motion = seated(humanoid, seat, **arguments)
                for i in range(2 * config.starts):
                    kind = ("deep", "far")[i % 2]
                    by = float(rng.uniform(0, (DEEP if kind == "deep" else FAR)[1]))
                    way = rng.normal(size=3)
                    way = np.array([0, 0, -1.0]) if kind == "deep" else way * [1, 1, np.sign(way[2])]
                    start = moved(motion, by * way / np.linalg.norm(way))
                    yield Start(kind, by, scene.names[0], pose, seed, seat, start, scene)


def moved(motion: Any, by: np.ndarray) -> Any:
    """A motion put somewhere else."""
    qpos, pos = np.array(motion.qpos), np.array(motion.body_pos)
    qpos[:, :3] += by
    pos[:, 1:] += by
    return dataclasses.replace(motion, qpos=qpos, body_pos=pos)


def on_seat(start: Start, result: Any) -> bool:
    """Whether the buttocks are at the height of the seat itself."""
    from mjxhuman.alignment import skin_of

    skin = skin_of(result.motion.humanoid)
    points, _ = skin.posed(result.motion.body_pos[0], result.motion.body_quat[0])
    return bool(abs(points[skin.part == skin.names.index("Pelvis"), 2].min() - start.seat) < ON_SEAT)


def run_method(method: str, starts: Sequence[Start], block: int) -> Iterator[dict[str, Any]]:
    """A record per start."""
    from mjxhuman.alignment import align_many

    order = sorted(range(len(starts)), key=lambda i: starts[i].scene.objects[0].parts.mask.sum())
    for at in range(0, len(order), block):
        some = [starts[i] for i in order[at : at + block]]
        contacts = [[("Pelvis", start.object)] for start in some]
        found = align_many(
            [start.motion for start in some], [start.scene for start in some], method=method, contacts=contacts
        )
        for start, result in zip(some, found, strict=True):
            seated = on_seat(start, result)
            reason = result.reason or ("" if seated else "body: expected it at the seat's height, found it elsewhere")
            yield {
                "method": method, "kind": start.kind, "by_m": start.by, "object": start.object, "pose": start.pose,
                "seed": start.seed, "converged": result.converged and seated, "penetration_m": result.penetration,
                "gap_m": result.gap, "reason": reason,
            }  # fmt: skip


def table(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table: converged and tried, by method and kind of start."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = collections.defaultdict(list)
    for record in records:
        near, _ = DEEP if record["kind"] == "deep" else FAR
        groups[
            record["method"], f"{record['kind']}, {'up to' if record['by_m'] <= near else 'over'} {near:.2f} m"
        ].append(record)
    yield f"{'method':8} {'start':20} {'converged':>14} {'penetration p95':>16} {'gap p95':>9}"
    for (method, kind), rows in sorted(groups.items()):
        good = sum(row["converged"] for row in rows)
        depth, gap = (np.percentile([row[name] for row in rows], 95) * 1000 for name in ("penetration_m", "gap_m"))
        share = f"{good}/{len(rows)} {good / len(rows):4.0%}"
        yield f"{method:8} {kind:20} {share:>14} {depth:13.1f} mm {gap:6.1f} mm"


def speed(starts: Sequence[Start], count: int) -> tuple[float, float, int]:
    """Scenes per second on a clock, and per second of processor time; after compilation."""
    from mjxhuman.alignment import align_many

    some = [starts[i % len(starts)] for i in range(count)]
    arguments = ([s.motion for s in some], [s.scene for s in some])
    contacts = [[("Pelvis", s.object)] for s in some]
    align_many(*arguments, contacts=contacts)  # compiles
    clock, used = time.perf_counter(), time.process_time()
    align_many(*arguments, contacts=contacts)
    return count / (time.perf_counter() - clock), count / (time.process_time() - used), count


def loop_speed(starts: Sequence[Start], count: int) -> tuple[float, float]:
    """The same residuals from the same starts, scene by scene with SciPy's least squares: as ``speed``."""
    from scipy.optimize import least_squares

    from .align_loop import scene_residuals

    solvers = [scene_residuals(s.motion, s.scene, [("Pelvis", s.object)]) for s in starts[:count]]
    for function, jacobian, first in solvers:
        function(first[0]), jacobian(first[0])
    clock, used = time.perf_counter(), time.process_time()
    for function, jacobian, first in solvers:
        for x in first:
            least_squares(function, x, jac=jacobian, max_nfev=40)
    return count / (time.perf_counter() - clock), count / (time.process_time() - used)


def run(config: config_dict.ConfigDict) -> int:
    """Align everything; returns the exit code."""
    import mjxhuman

    prepare_jax()
    humanoid = mjxhuman.load_humanoid()
    starts = list(starts_of(config, humanoid))
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "starts.jsonl").unlink(missing_ok=True)
    records = []
    with JsonLines(out / "starts.jsonl") as log:
        for method in config.methods.split(","):
            limit = len(starts) if method == "ours" else config.others
            chosen = [starts[i] for i in np.unique(np.linspace(0, len(starts) - 1, limit).astype(int))]
            for record in run_method(method, chosen, config.block):
                records.append(record)
                log.append(record)
    print("\n".join(table(records)), flush=True)
    ours = [record for record in records if record["method"] == "ours"]
    quick = [s for s in starts if s.scene.objects[0].parts.mask.sum() <= config.speed_pieces] or starts
    fast = speed(quick, config.speed)
    loop = loop_speed(quick, config.loops)

    def share(kind: str, limit: tuple[float, float]) -> float | None:
        rows = [row["converged"] for row in ours if row["kind"] == kind]
        return round(sum(rows) / len(rows), 4) if rows else None

    def high(name: str) -> float:
        return round(float(np.percentile([row[name] for row in ours], 95)), 5)

    print(f"scenes per second of processor time: {fast[1]:.1f} together, {loop[1]:.2f} one by one", flush=True)
    summary = {
        "starts": len(ours), "converged": round(sum(row["converged"] for row in ours) / len(ours), 4),
        "converged_deep": share("deep", DEEP), "converged_far": share("far", FAR),
        "penetration_p95_m": high("penetration_m"), "gap_p95_m": high("gap_m"),
        "scenes_per_s": round(fast[0], 2), "loop_scenes_per_s": round(loop[0], 3),
    }  # fmt: skip
    print(json_line(summary), flush=True)
    return 0


def main(argv: Sequence[str]) -> int:
    """Run what the configuration names."""
    if argv[1:]:
        print(f"align_scenes: unexpected arguments {argv[1:]}", file=sys.stderr)
        return 2
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, config="align_scenes")
