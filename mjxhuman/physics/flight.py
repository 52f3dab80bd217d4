"""Gravity as a motion shows it: how its centre of mass accelerates while nothing touches.

Bodies fall at 9.81 m/s^2 whatever they do, so a flight is a clock and a ruler that no file can misstate: a clip that
plays s times too fast falls s^2 times as fast, and one whose lengths are k times too long k times. A parabola is fitted
to the centre of mass over each stretch of frames in which every point of the body is clear of the surface. What is held
up out of reach of the surface (on a chair, on a bar) does not fall and is no flight.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.physics.contact_points import FADE, REACH
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.surface import Surface, measure
from mjxhuman.types import Motion

#: Clearance in metres from which nothing can push (the price of a force there equals that of the missing wrench).
CLEAR = REACH + FADE
#: Clearance in metres that a flight reaches: where soles and surface are is known to a few centimetres, so what stays
#: lower may touch all the while.
APEX = 0.075
#: Acceleration across gravity, as a share of it, that a fall may show where that is certain to be more than none.
ASIDE = 0.25
#: Frames that a flight has at least: a parabola and one more, which tells how well it fits.
MIN_FRAMES = 4
#: White noise in m of the centre of mass, at least: that of optical markers (Chiari et al. 2005, Gait Posture 21:197).
NOISE = 0.001
#: Error in m of the centre of mass of a body model that changes with its pose in flight: joints are known to 1-2 cm
#: (Della Croce et al. 2005, Gait Posture 21:226), the centre of a dozen segments to a third of it.
WOBBLE = 0.005
#: Standard deviations by which an acceleration has to differ from another.
CERTAIN = 2.0
#: Share by which the speed of a clip may be off before it is said: flights at 9.81 m/s^2 +- 20 %.
SPEED_TOLERANCE = 0.1
#: Rms distance from the parabola, as a share of its height, that a fall may have where that is more than ``WOBBLE``.
MISFIT = 0.1


class Parabolas(NamedTuple):
    """Fits to the stretches of free frames of many clips, K of them or room for more (``count`` 0)."""

    clip: Any  # (K,) int
    first: Any  # (K,) int, frame of the clip
    count: Any  # (K,) frames
    acceleration: Any  # (3, K) m/s^2
    gravity: Any  # (K,) m/s^2 downwards
    spread: Any  # (K,) m/s^2, standard deviation of ``gravity``
    falls: Any  # (K,) bool: a flight, neither held up nor too short to tell
    index: Any  # (N,) int, stretch of every frame, K for none


def parabolas(com: Any, clear: Any, frames: int, dt: float, up: Any) -> Parabolas:
    """Fit a parabola to every stretch of frames clear of the surface; NumPy, or JAX where traced.

    Differentiable in ``com``. A stretch counts as a flight (``falls``) if it rises to ``APEX``, its parabola fits and
    its acceleration is certainly downwards and nowhere else.

    Args:
      com: ``(3, N)`` m, N / ``frames`` clips one after the other.
      clear: ``(N,)`` m from the lowest point of the body to the surface; 0 or less where it is not known.
      frames: of a clip.
      dt: seconds between frames.
      up: ``(3,)`` unit vector.
    """
    traced = any(isinstance(x, jax.core.Tracer) for x in (com, clear))
    xp: Any = jnp if traced else np
    free = clear > CLEAR
    place = np.arange(com.shape[-1])
    before = xp.concatenate([xp.zeros(1, bool), free[:-1]]) & (place % frames > 0)
    starts = free & ~before
    stretches = len(place) // 2 + len(place) // frames if traced else int(starts.sum())
    index = xp.where(free, xp.cumsum(starts) - 1, stretches)

    def total(x: Any) -> Any:
        return jax.ops.segment_sum(x, index, stretches + 1) if traced else np.bincount(index, x, stretches + 1)

    risen = total(xp.where(clear > APEX, 1.0, 0.0)) > 0

    ones = xp.ones(len(place), com.dtype)
    count = total(ones)
    some = xp.maximum(count, 1.0)
    first = total(xp.where(starts, place, 0))
    t = (place - first[index] - 0.5 * (count[index] - 1.0)) * dt
    x = com - xp.stack([total(c) / some for c in com])[:, index]
    t2, t4 = total(t * t), total(t**4)
    enough = count >= MIN_FRAMES
    spread2 = xp.where(enough, t4 - t2 * t2 / some, 1.0)  # of t^2 about its mean, times the count
    curve = xp.stack([total(t * t * c) for c in x]) / spread2
    slope = xp.stack([total(t * c) for c in x]) / xp.where(enough, t2, 1.0)
    rest = x - slope[:, index] * t - curve[:, index] * (t * t - (t2 / some)[index])
    misfit = total(xp.sum(rest * rest, 0)) / (3.0 * xp.maximum(count - 3.0, 1.0))
    span = xp.where(enough, (count - 1.0) * dt, 1.0)
    variance = 4.0 * xp.maximum(misfit, NOISE**2) / spread2 + (8.0 * WOBBLE / span**2) ** 2
    gravity = -2.0 * (curve[0] * up[0] + curve[1] * up[1] + curve[2] * up[2])
    height = xp.maximum(gravity, 0.0) * span**2 / 8.0
    fits = misfit <= xp.maximum(WOBBLE, MISFIT * height) ** 2
    aside2 = xp.maximum(4.0 * xp.sum(curve * curve, 0) - gravity * gravity, 0.0)
    straight = aside2 <= xp.maximum(9.0 * variance, (ASIDE * gravity) ** 2)
    falls = enough & risen & fits & straight & (gravity > 0) & (gravity * gravity > 9.0 * variance)
    clip = (first // frames).astype(int)
    values = (clip, (first % frames).astype(int), count, 2.0 * curve, gravity, xp.sqrt(variance), falls)
    return Parabolas._make([*(v[..., :stretches] for v in values), index])


@dataclasses.dataclass(frozen=True)
class Flight:
    """One flight: frames from ``first`` up to and without ``stop``, and how the centre of mass accelerates in it."""

    first: int
    stop: int
    start: float  # s
    end: float  # s
    acceleration: tuple[float, float, float]  # m/s^2, world axes
    gravity: float  # m/s^2, against the body's up
    uncertainty: float  # m/s^2, one standard deviation of ``gravity``


@dataclasses.dataclass(frozen=True)
class Gravity:
    """Gravity of a clip as its flights show it."""

    flights: tuple[Flight, ...]
    gravity: float  # m/s^2, of all flights, each as it is known; NaN without flights
    uncertainty: float  # m/s^2, one standard deviation
    standard: float  # m/s^2, of the humanoid's model

    @property
    def speed(self) -> float:
        """How many times too fast the clip plays, if its lengths are right; NaN without flights."""
        return math.sqrt(max(self.gravity, 0.0) / self.standard) if self.flights else math.nan

    @property
    def size(self) -> float:
        """The true size of the body over the stated one, if the frame rate is right; NaN without flights."""
        return self.standard / self.gravity if self.flights else math.nan

    @property
    def contradicts(self) -> bool:
        """Whether the flights rule out that speed and size are right to ``SPEED_TOLERANCE``."""
        return bool(self.flights) and float(speed_error(self.gravity, self.uncertainty, self.standard)) > 0.1

    def sentence(self, fps: float) -> str:
        """What is wrong with speed or size of a clip played at ``fps``, and what to do; "" if nothing is."""
        if not self.contradicts:
            return ""
        count = f"{len(self.flights)} flight{'s' if len(self.flights) > 1 else ''}"
        speed = f"{self.speed:.3g} times too fast" if self.speed > 1 else f"{1 / self.speed:.3g} times too slowly"
        return (
            f"in {count} the body falls at {self.gravity:.3g} +- {self.uncertainty:.2g} m/s2, not "
            f"{self.standard:.3g}: the clip plays {speed} (the true rate would be about {fps / self.speed:.3g} Hz, "
            f"not {fps:.4g}), or the body is {self.size:.2g} of its size"
        )


def speed_error(gravity: Any, uncertainty: Any, standard: float) -> Any:
    """By how many times a clip is too fast or too slow, less one, at the least that the uncertainty allows."""
    xp: Any = jnp if isinstance(gravity, jax.core.Tracer) else np
    low, high = (xp.maximum(gravity + side * CERTAIN * uncertainty, 1e-3 * standard) / standard for side in (-1, 1))
    fast, slow = xp.sqrt(xp.maximum(low, 1.0)), 1.0 / xp.sqrt(xp.minimum(high, 1.0))
    return xp.maximum(fast, slow) - 1.0


def clearance(motion: Motion, surface: Surface | None = None) -> np.ndarray:
    """Distance ``(T,)`` in m of the lowest contact point of a motion ``(T, ...)`` from the surface (default z = 0).

    Raises:
      ValueError: the humanoid has no contact points.
    """
    points = motion.humanoid.contacts
    if points is None:
        raise ValueError(f"humanoid {motion.humanoid.name!r}: flights need contact points, and its body has none")
    pos = np.asarray(motion.body_pos, np.float64)[:, points.body_id]
    quat = np.asarray(motion.body_quat, np.float64)[:, points.body_id]
    where = pos + quaternion.rotate(quat, np.broadcast_to(points.offset, pos.shape))
    return (measure(surface, where).distance - points.radius).min(-1)


def measure_gravity(motion: Motion, surface: Surface | None = None) -> Gravity:
    """The flights of a motion ``(T, ...)`` and the gravity they show.

    Up is the humanoid model's; ``Flight.acceleration`` also tells what is across it. The flights of a clip that stands
    on something else than ``surface``, or on its head, are found where its lowest points are clear of ``surface``.

    Raises:
      ValueError: the humanoid has no contact points.
    """
    up = motion.humanoid.up
    standard = float(np.linalg.norm(motion.humanoid.model.opt.gravity)) or 9.81
    com = motion.humanoid.centre_of_mass(np.asarray(motion.body_pos), np.asarray(motion.body_quat))
    clear = np.where(np.asarray(motion.valid, bool), clearance(motion, surface), 0.0)
    found = parabolas(com.T, clear, len(com), motion.dt, up)
    flights = []
    for k in np.flatnonzero(found.falls):
        first, stop = int(found.first[k]), int(found.first[k] + found.count[k])
        flights.append(
            Flight(
                first,
                stop,
                first * motion.dt,
                (stop - 1) * motion.dt,
                tuple(float(x) for x in found.acceleration[:, k]),  # type: ignore[arg-type]
                float(found.gravity[k]),
                float(found.spread[k]),
            )
        )
    value, spread = combine(
        np.array([f.gravity for f in flights]), np.array([f.uncertainty for f in flights]), np.ones(len(flights), bool)
    )
    return Gravity(tuple(flights), float(value), float(spread), standard)


def combine(gravity: np.ndarray, spread: np.ndarray, use: np.ndarray) -> tuple[float, float]:
    """Inverse-variance mean and its standard deviation, widened where the values differ by more than they say."""
    if not use.any():
        return math.nan, math.nan
    weight = 1.0 / spread[use] ** 2
    mean = float(np.sum(weight * gravity[use]) / weight.sum())
    scatter = float(np.sum(weight * (gravity[use] - mean) ** 2)) / max(len(weight) - 1, 1)
    return mean, math.sqrt(max(scatter, 1.0) / weight.sum())


def timed(motion: Motion, retime: str = "none") -> Motion:
    """A motion just read, with a sentence in ``provenance.conventions`` where its flights contradict its speed or size.

    Args:
      motion: ``(T, ...)``; a body without contact points is returned as it is.
      retime: "none", or "auto": the frame rate becomes the one at which the body falls as gravity wants, and the
        sentence says so; without flights, or where they agree, it is kept.
    """
    if motion.humanoid.contacts is None:
        return motion
    found = measure_gravity(motion)
    where = motion.provenance
    if not found.contradicts:
        lacking = retime == "auto" and not found.flights
        said = ("retime: no flight tells the speed, the frame rate is kept",) if lacking else ()
    elif retime == "auto":
        rate = motion.fps / found.speed
        said = (f"retime: {found.sentence(motion.fps)}; played at {rate:.4g} Hz",)
        motion = motion_from_qpos(motion.humanoid, motion.qpos, rate, valid=motion.valid)
    else:
        said = (f"{found.sentence(motion.fps)}; fps= or retime='auto' would set it right",)
    return dataclasses.replace(motion, provenance=where.with_(conventions=(*where.conventions, *said)))
