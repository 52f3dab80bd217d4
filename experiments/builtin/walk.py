"""Level walking: a periodic, left-right symmetric gait as Fourier series over the cycle.

The tables restate published means of adults in level walking at natural cadence to about 3 degrees (``SOURCES``); they
were written from knowledge of these publications, not measured off their pages.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.interpolate import CubicSpline

from mjxhuman.humanoids import Humanoid
from mjxhuman.math import timeseries

from . import pose

FPS = 60.0
CYCLE = 64  # frames: 112 steps a minute
SPEED = 1.30  # m/s
CYCLES = 3.5
HARMONICS = 14

SOURCES = (
    "knee and ankle flexion: after Winter, The Biomechanics and Motor Control of Human Gait (1991), natural cadence",
    "hip, thigh against the vertical in standing: after Kadaba et al., J Orthop Res 8:383 (1990), less pelvic tilt",
    "toes, pelvis, trunk, shoulder, elbow: after Perry and Burnfield, Gait Analysis (2010)",
    "all restated to about 3 degrees, then made consistent with floor and forces",
)

#: Left heel strike at 0; degrees at 0, 5, ... 95 % of the cycle.
TABLES = {
    "hip_flexion": (
        23, 21.5, 18.5, 14.5, 10, 5.5, 1, -4, -9, -14, -18, -18, -13, -5, 4.5, 13.5, 20.5, 24.5, 25.5, 24.5,
    ),
    "hip_adduction": (
        0, 2, 4, 5.5, 5.5, 5, 4.7, 4.5, 4.2, 3.8, 2.5, -0.5, -3.5, -5, -4.5, -3, -2, -1, -0.5, -0.5,
    ),
    "hip_rotation": (-4,) * 20,
    "knee_flexion": (
        5, 10, 16, 18.5, 17.5, 14.5, 11.5, 9, 7.5, 8.5, 13.5, 23, 38.5, 53, 63, 62, 50.5, 33.5, 16, 5,
    ),
    "dorsiflexion": (0, -5, -4, 0, 3, 5, 6.5, 8, 9, 9.6, 7.5, -2, -15, -18.5, -10, -4, -0.5, 0.8, 1.3, 1.5),
    "inversion": (2, 0, -2, -2, -2, -2, -2, -2, -1, 0, 2, 4, 4, 3, 2, 2, 2, 2, 2, 2),
    "foot_rotation": (0,) * 20,
    "toe_extension": (12, 6, 0, 0, 0, 0, 0, 1, 4, 11, 24, 38, 44, 32, 18, 9, 7, 9, 12, 13),
    "shoulder_flexion": (
        -22, -21, -19, -15.5, -11, -6, -1, 3.5, 6.5, 8.5, 9, 8.3, 6.5, 3.5, -1, -6, -11, -15.5, -19, -21,
    ),
    "shoulder_lowering": (76,) * 20,
    "shoulder_rotation": (15,) * 20,
    "elbow_flexion": (
        17, 17.5, 18.5, 20.5, 23, 26, 29.5, 33, 35.5, 37, 37.5, 37, 35.5, 33, 29.5, 26, 23, 20.5, 18.5, 17.5,
    ),
}  # fmt: skip
#: Pelvis and trunk: (mean, amplitude, harmonic, phase of the maximum in cycles), degrees.
WAVES = {
    "pelvis_tilt": (0.0, 1.0, 2, 0.10),
    "pelvis_list": (0.0, 4.0, 1, 0.13),  # left side up
    "pelvis_turn": (0.0, 4.5, 1, 0.50),  # left side back: positive about the vertical
    "trunk_flexion": (3.0, 1.0, 2, 0.05),
    "trunk_bend": (0.0, 4.0, 1, 0.13),  # against the list of the pelvis
    "trunk_turn": (0.0, 8.0, 1, 0.0),
    "neck_flexion": (-2.0, 0.0, 2, 0.0),
    "neck_bend": (0.0, 1.0, 1, 0.63),
    "neck_turn": (0.0, 4.0, 1, 0.5),
}
#: Degrees of deviation that cost 1; the sagittal angles of the leg are known best.
SIGMA = {"hip_flexion": 3.0, "knee_flexion": 3.0, "dorsiflexion": 3.0, "toe_extension": 6.0, "hip_adduction": 3.0}
SIGMA_OTHER = 4.0

LEFT = tuple(TABLES)
#: Quantities of the middle that are equal half a cycle later; the others are their negative.
EVEN = ("root_x", "root_z", "pelvis_tilt", "trunk_flexion", "neck_flexion")
#: Phases of the left cycle in which each pair of sole points stands still on the floor: heel, ball, toe base, toe tip.
STANCE = ((0.0, 0.30), (0.09, 0.34), (0.09, 0.50), (0.09, 0.56))


def _harmonics(name: str) -> list[int]:
    if name in LEFT:
        return list(range(HARMONICS + 1))
    return [k for k in range(HARMONICS + 1) if k % 2 == (name not in EVEN)]


def basis(name: str, phase: np.ndarray) -> np.ndarray:
    """Fourier basis ``(T, n)`` of a quantity at phases in cycles: cosines, then sines."""
    waves = [2 * np.pi * k * phase for k in _harmonics(name)]
    return np.stack([np.cos(w) for w in waves] + [np.sin(w) for w, k in zip(waves, _harmonics(name)) if k], -1)


def table(name: str, phase: np.ndarray) -> np.ndarray:
    """Published angle in degrees ``(T,)`` at phases in cycles."""
    if name in TABLES:
        values = np.array([*TABLES[name], TABLES[name][0]], float)
        return CubicSpline(np.linspace(0, 1, 21), values, bc_type="periodic")(phase % 1.0)
    mean, amplitude, harmonic, peak = WAVES[name]
    return mean + amplitude * np.cos(2 * np.pi * harmonic * (phase - peak))


def standing(frames: np.ndarray) -> np.ndarray:
    """Which of the 16 sole points stand, ``(16, T)`` 0 or 1, left foot first."""
    rows = []
    for shift in (0.0, 0.5):
        phase = (frames / CYCLE + shift) % 1.0
        rows += [((phase >= a) & (phase <= b)).astype(float) for a, b in STANCE for _ in range(2)]
    return np.stack(rows)


def clearance(frames: np.ndarray) -> np.ndarray:
    """Least height in m of each foot ``(2, T)``: 1.5 cm in mid-swing (Winter 1992), -1 (none) otherwise."""
    phase = np.stack([(frames / CYCLE + shift) % 1.0 for shift in (0.0, 0.5)])
    return np.where((phase > 0.70) & (phase < 0.93), 0.015, -1.0)


class Walk:
    """The walk as a least-squares problem: unknowns are the coefficients of all series, degrees and centimetres."""

    name = "walk"
    fps = FPS
    sources = SOURCES

    def __init__(self, humanoid: Humanoid) -> None:
        self.humanoid = humanoid
        self._slices, self.size = {}, 0
        for name in (*LEFT, "root_x", "root_y", "root_z", *WAVES):
            count = basis(name, np.zeros(1)).shape[1]
            self._slices[name] = slice(self.size, self.size + count)
            self.size += count

    def start(self) -> np.ndarray:
        """The coefficients of the tables; the pelvis at walking height."""
        x = np.zeros(self.size)
        phase = np.arange(CYCLE) / CYCLE
        for name in (*LEFT, *WAVES):
            x[self._slices[name]] = np.linalg.lstsq(basis(name, phase), table(name, phase), rcond=None)[0]
        x[self._slices["root_z"].start] = 100 * float(self.humanoid.model.qpos0[2]) - 3.0
        return x

    def curves(self, x: Array, phase: np.ndarray) -> dict[str, Array]:
        """Every quantity ``(T,)`` of the left side and the middle at phases in cycles."""
        return {name: basis(name, phase) @ x[where] for name, where in self._slices.items()}

    def path(self, x: Array, frames: np.ndarray) -> Array:
        """qpos ``(T, nq)`` at frame numbers of the walk (any, also negative). Right is left half a cycle later."""
        c = self.curves(x, frames / CYCLE)
        ahead = c["root_x"] + 100 * SPEED * frames / FPS
        position = 0.01 * jnp.stack([ahead, c["root_y"], c["root_z"]], -1)
        return pose.coordinates(self.humanoid, position, c, c, self.curves(x, frames / CYCLE + 0.5))

    def qpos(self, x: Array) -> Array:
        """The whole clip ``(T, nq)``."""
        return self.path(x, np.arange(round(CYCLES * CYCLE) + 1))

    def deviations(self, x: Array) -> dict[str, Array]:
        """Degrees by which every angle leaves its table, over one cycle."""
        phase = np.arange(CYCLE) / CYCLE
        return {n: v - table(n, phase) for n, v in self.curves(x, phase).items() if not n.startswith("root")}

    def residuals(self) -> Callable[[Array], Array]:
        """The function whose sum of squares is least for the walk sought; half a cycle stands for all."""
        half, radius = CYCLE // 2, timeseries.window_radius(1 / FPS)
        frames = np.arange(-radius, half + radius)
        stands, swing = standing(np.arange(half)), clearance(np.arange(half))
        phase = np.arange(CYCLE) / CYCLE
        orders = {n: np.array([*_harmonics(n), *(k for k in _harmonics(n) if k)]) for n in self._slices}

        def function(x: Array) -> Array:
            path = self.path(x, frames)
            s = pose.contact_forces(self.humanoid, path, FPS, slice(radius, radius + half))
            # half a cycle later the force is mirrored: what follows the last frame is the mirrored first one
            after = s.required_force[:, :1] * np.array([[1.0], [-1.0], [1.0]])
            jump = jnp.diff(jnp.concatenate([s.required_force, after], 1), axis=1)
            foot = jnp.min(s.touch.point[: 2 * pose.SOLE_POINTS, 2].reshape(2, pose.SOLE_POINTS, half), 1)
            parts = pose.floor_residuals(s, stands)
            parts += [jump / s.weight / 0.03, jnp.maximum(swing - foot, 0.0) / 0.001]
            parts += [d / SIGMA.get(name, SIGMA_OTHER) for name, d in self.deviations(x).items()]
            c = self.curves(x, phase)
            parts += [c["root_x"][:half] / 2.0, c["root_y"][:half] / 3.0]
            parts += [x[where] * (orders[name] / 6.0) ** 3 for name, where in self._slices.items()]
            return jnp.concatenate([p.reshape(-1) for p in parts])

        return function
