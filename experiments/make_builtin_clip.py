"""Make a built-in clip of ``mjxhuman.data.builtin``: published joint angles, made consistent with floor and forces.

    python -m experiments.make_builtin_clip --clip walk --sheet walk.png

Joint angles and the pelvis's path are smooth functions of time (``experiments/builtin``: Fourier series for the walk,
splines for the jump). They start at tables of published angles and are moved, as little as possible, until the soles
stay where they stand and the wrench that the motion needs is one the floor can give: nonlinear least squares on the
project's own contact-consistent inverse dynamics. On two idle CPU cores about five minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from scipy.optimize import least_squares

from mjxhuman.data.npz import QposMotion, save_motion
from mjxhuman.humanoids import load_humanoid
from mjxhuman.physics.analysis import analyse
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.report.render import contact_sheet
from mjxhuman.rewards.score import ERROR_UNITS, score
from mjxhuman.types import Provenance

from .builtin.jump import Jump
from .builtin.walk import Walk
from .launch import launch

CLIPS: dict[str, type[Walk] | type[Jump]] = {"walk": Walk, "jump": Jump}

_CLIP = flags.DEFINE_enum("clip", "walk", list(CLIPS), "Which clip.")
_OUT = flags.DEFINE_string("out", "mjxhuman/data/clips", "The folder to write <clip>.npz to.")
_SHEET = flags.DEFINE_string("sheet", "", "A PNG of the clip; needs offscreen OpenGL.")
_STEPS = flags.DEFINE_integer("steps", 30, "Most evaluations of the solver.")


def solve(problem: Walk | Jump, steps: int, start: np.ndarray | None = None) -> np.ndarray:
    """The unknowns after at most ``steps`` evaluations of a trust-region least-squares solver, from the tables on."""
    with jax.enable_x64(True):
        function = problem.residuals()
        value, slope = jax.jit(function), jax.jit(jax.jacfwd(function))
        result = least_squares(
            lambda x: np.asarray(value(x)),
            problem.start() if start is None else start,
            jac=lambda x: np.asarray(slope(x)),
            max_nfev=steps,
            ftol=1e-5,
            verbose=2,
        )
    return result.x


def clip(problem: Walk | Jump, x: np.ndarray) -> QposMotion:
    """The motion as a file holds it, starting at x = 0."""
    humanoid = problem.humanoid
    with jax.enable_x64(True):
        qpos = np.asarray(problem.qpos(jnp.asarray(x)))
    qpos = qpos - np.eye(humanoid.nq)[0] * qpos[0, 0]
    provenance = Provenance(
        path=f"built-in clip '{problem.name}' (experiments/make_builtin_clip.py)",
        format="mjxhuman",
        licence="Apache-2.0",
        conventions=problem.sources,
    )
    body = {"name": humanoid.name, "layout": humanoid.layout}
    return QposMotion(qpos.astype(np.float32), problem.fps, body, provenance)


def describe(problem: Walk | Jump, x: np.ndarray, motion: QposMotion) -> str:
    """What was gained and what it cost: scores, physical errors, forces, deviations from the tables."""
    humanoid = problem.humanoid
    whole = motion_from_qpos(humanoid, motion.qpos, motion.fps)
    scores, forces = score(whole), analyse(whole)
    fit = np.isfinite(scores.frames["total"])  # derivatives at the ends are one-sided
    foot = np.asarray(forces.grf)[fit, 0, 2] / humanoid.weight
    means = [f"{name}_{unit} {float(scores.terms[f'{name}_{unit}']):.4f}" for name, unit in ERROR_UNITS.items()]
    lines = [
        f"total {float(scores.total):.4f}; " + ", ".join(f"{k} {float(v):.4f}" for k, v in scores.axes.items()),
        "clip means: " + ", ".join(means),
        f"worst frame: total {np.nanmin(scores.frames['total']):.3f} at {np.nanargmin(scores.frames['total'])}",
        f"left foot, peak vertical force: {np.max(foot):.2f} body weights",
        "deviation from the tables, degrees (root mean square, largest):",
    ]
    for name, gap in problem.deviations(jnp.asarray(x)).items():
        lines.append(f"  {name:18s} {float(jnp.sqrt(jnp.mean(gap**2))):5.1f} {float(jnp.max(jnp.abs(gap))):5.1f}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> None:
    """Make the file and, if asked, a picture of it."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    problem = CLIPS[_CLIP.value](load_humanoid("smpl"))
    x = solve(problem, _STEPS.value)
    motion = clip(problem, x)
    print(describe(problem, x, motion))
    print(save_motion(Path(_OUT.value) / f"{problem.name}.npz", motion))
    if _SHEET.value:
        print(contact_sheet(problem.humanoid, motion.qpos, _SHEET.value, columns=8, rows=3, fps=motion.fps))


if __name__ == "__main__":
    launch(main)
