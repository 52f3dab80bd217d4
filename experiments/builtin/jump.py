"""A counter-movement jump with arm swing: left-right symmetric, every sagittal angle a cubic B-spline in time.

The key poses are typical ones, after the joint angles that Bobbert et al., Med Sci Sports Exerc 28:1402 (1996), and
Lees et al., J Biomech 37:1929 (2004), report for jumps with counter-movement and arm swing; written from knowledge of
these publications, not measured off their pages.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.interpolate import BSpline, PchipInterpolator

from mjxhuman.humanoids import Humanoid
from mjxhuman.math import timeseries

from . import pose

FPS = 60.0
FRAMES = 151
TAKE_OFF, LANDING = 1.06, 1.42  # s
KNOT = 0.05  # s between knots

SOURCES = (
    "key poses: after Bobbert et al., Med Sci Sports Exerc 28:1402 (1996), and Lees et al., J Biomech 37:1929 (2004)",
    "restated to about 10 degrees, then made consistent with floor, forces and free fall",
)

#: Key values: times in s, degrees.
KEYS = {
    "hip_flexion": ((0, 0.3, 0.70, 1.06, 1.24, 1.42, 1.68, 2.2, 2.5), (4, 4, 80, 4, 14, 18, 60, 4, 4)),
    "knee_flexion": ((0, 0.3, 0.74, 1.06, 1.24, 1.42, 1.68, 2.2, 2.5), (6, 6, 80, 8, 18, 20, 65, 6, 6)),
    "dorsiflexion": ((0, 0.3, 0.74, 1.06, 1.24, 1.42, 1.66, 2.2, 2.5), (2, 2, 26, -35, -25, -20, 24, 2, 2)),
    "toe_extension": ((0, 0.85, 1.06, 1.20, 1.36, 1.44, 1.52, 2.5), (0, 0, 35, 4, 8, 14, 0, 0)),
    "shoulder_flexion": ((0, 0.3, 0.68, 1.06, 1.24, 1.42, 1.72, 2.25, 2.5), (0, 0, -45, 100, 95, 60, 12, 0, 0)),
    "elbow_flexion": ((0, 0.3, 0.68, 1.06, 1.42, 1.72, 2.25, 2.5), (15, 15, 10, 40, 40, 25, 15, 15)),
    "pelvis_tilt": ((0, 0.3, 0.70, 1.06, 1.24, 1.42, 1.68, 2.2, 2.5), (0, 0, 26, 0, 2, 4, 20, 0, 0)),
    "trunk_flexion": ((0, 0.3, 0.70, 1.06, 1.24, 1.42, 1.68, 2.2, 2.5), (2, 2, 12, 2, 4, 5, 12, 2, 2)),
    "neck_flexion": ((0, 0.3, 0.70, 1.06, 1.42, 1.68, 2.2, 2.5), (0, 0, -20, 0, 0, -15, 0, 0)),
}
#: Angles that stay as they are, degrees.
CONSTANT = {
    "hip_adduction": 0.0, "hip_rotation": 0.0, "inversion": 0.0, "foot_rotation": 0.0, "shoulder_lowering": 76.0,
    "shoulder_rotation": 10.0, "pelvis_list": 0.0, "pelvis_turn": 0.0, "trunk_bend": 0.0, "trunk_turn": 0.0,
    "neck_bend": 0.0, "neck_turn": 0.0,
}  # fmt: skip
SIGMA = 8.0  # degrees of deviation that cost 1
#: When heel, ball, toe base and toe tip leave the floor and stand again, s.
STANCE = ((0.86, 1.56), (0.90, 1.50), (1.00, 1.46), (1.02, 1.46))


class Jump:
    """The jump as a least-squares problem: unknowns are spline coefficients, degrees and centimetres."""

    name = "jump"
    fps = FPS
    sources = SOURCES

    def __init__(self, humanoid: Humanoid) -> None:
        self.humanoid = humanoid
        self.time = np.arange(FRAMES) / FPS
        inner = np.linspace(0, self.time[-1], round(self.time[-1] / KNOT) + 1)
        knots = np.concatenate([np.full(3, inner[0]), inner, np.full(3, inner[-1])])
        self._basis = BSpline.design_matrix(self.time, knots, 3).toarray()
        self._names = (*KEYS, "root_x", "root_z")
        self.targets = {name: PchipInterpolator(*key)(self.time) for name, key in KEYS.items()}

    def start(self) -> np.ndarray:
        """The splines of the key poses, soles on the floor at one place, and a parabola in between."""
        rows = {name: self._fit(values) for name, values in self.targets.items()}
        height, gravity = 100 * float(self.humanoid.model.qpos0[2]), -float(self.humanoid.model.opt.gravity[2])
        still = {"root_x": np.zeros(FRAMES), "root_z": np.full(FRAMES, height)}
        x = np.concatenate([*rows.values(), *(self._fit(v) for v in still.values())])
        points = jax.jit(lambda y: pose.contact_forces(self.humanoid, self.qpos(y), FPS, slice(None)).touch.point)
        sole = points(jnp.asarray(x))[: pose.SOLE_POINTS]
        t = np.clip(self.time, TAKE_OFF, LANDING)
        still["root_x"] = -100 * np.asarray(sole[4:6, 0].mean(0) - sole[4:6, 0, 0].mean())
        still["root_z"] = height - 100 * np.asarray(sole[:, 2].min(0)) + 50 * gravity * (t - TAKE_OFF) * (LANDING - t)
        return np.concatenate([*rows.values(), *(self._fit(v) for v in still.values())])

    def _fit(self, values: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(self._basis, values, rcond=None)[0]

    def curves(self, x: Array) -> dict[str, Array]:
        """Every quantity ``(T,)`` that moves."""
        return dict(zip(self._names, x.reshape(len(self._names), -1) @ self._basis.T, strict=True))

    def qpos(self, x: Array) -> Array:
        """The whole clip ``(T, nq)``."""
        c = self.curves(x)
        angles = c | {name: jnp.full(FRAMES, value) for name, value in CONSTANT.items()}
        position = 0.01 * jnp.stack([c["root_x"], jnp.zeros(FRAMES), c["root_z"]], -1)
        return pose.coordinates(self.humanoid, position, angles, angles, angles)

    def deviations(self, x: Array) -> dict[str, Array]:
        """Degrees by which every angle leaves its key poses."""
        c = self.curves(x)
        return {name: c[name] - target for name, target in self.targets.items()}

    def residuals(self) -> Callable[[Array], Array]:
        """The function whose sum of squares is least for the jump sought."""
        radius = timeseries.window_radius(1 / FPS)
        inner = slice(radius, FRAMES - radius)
        t = self.time[inner]
        stands = np.stack([((t <= a) | (t >= b)).astype(float) for a, b in STANCE for _ in range(2)])
        stands = np.concatenate([stands, stands])
        # the filter reaches 0.1 s to each side: where it sees nothing but flight, the body falls freely
        free = (t > TAKE_OFF + 0.07) & (t < LANDING - 0.07)

        def function(x: Array) -> Array:
            s = pose.contact_forces(self.humanoid, self.qpos(x), FPS, inner)
            foot = jnp.min(s.touch.point[: 2 * pose.SOLE_POINTS, 2], 0)
            parts = pose.floor_residuals(s, stands)
            parts += [
                free * s.required_force / s.weight / 0.004,
                free * s.residual_moment / s.weight / 0.001,
                jnp.maximum(0.045 * free - foot, 0.0) / 0.002,
                jnp.diff(s.required_force, axis=1) / s.weight / 0.15,
            ]
            parts += [d / SIGMA for d in self.deviations(x).values()]
            rows = x.reshape(len(self._names), -1)
            rough = jnp.diff(rows, n=3, axis=1)
            parts += [rough[:-2] / 4.0, rough[-2:] / 1.0]
            parts += [jnp.diff(rows[:, end], axis=1) / 0.2 for end in (slice(0, 6), slice(-6, None))]  # at rest
            return jnp.concatenate([p.reshape(-1) for p in parts])

        return function
