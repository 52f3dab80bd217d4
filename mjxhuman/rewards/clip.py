"""From frames to a clip: errors that only a stretch of frames shows, and how frames enter the value of a clip.

NumPy for concrete arrays, JAX where traced; frames on the last axis.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import maximum_filter1d

from mjxhuman.physics import flight

#: A disaster: a window of so many seconds, that of one regression, in which less than this share of quality is left.
WINDOW, DISASTER = 0.2, 0.25
#: Most that a disaster takes of the value of the whole clip.
SHARE = 0.5


def xp_of(*arrays: Any) -> Any:
    """``jax.numpy`` if any of the arrays is traced, else ``numpy``."""
    return jnp if any(isinstance(x, jax.core.Tracer) for x in arrays) else np


def clip_value(x: Any, fit: np.ndarray, dt: float) -> Any:
    """The value ``(*b)`` of a clip whose frames ``(*b, T)`` have qualities in 0..1: their mean, less for a disaster.

    A mean alone forgives anything short. Where the worst window of ``WINDOW`` seconds has a mean quality w below
    ``DISASTER`` the clip loses up to ``SHARE`` of its value, in proportion to (``DISASTER`` - w): however long it is, a
    motion that comes apart once is not fine. What no frame of is fit has value 0.

    Args:
      x: qualities; those of other frames than ``fit`` are not read.
      fit: ``(*b, T)`` bool: frames that are scored.
      dt: seconds between frames.
    """
    xp = xp_of(x)
    x = xp.where(fit, x, 0.0)
    count = np.maximum(fit.sum(-1), 1)
    mean = x.sum(-1) / count
    size = max(1, min(round(WINDOW / dt), fit.shape[-1]))
    whole = _moving(np, fit.astype(float), size) > 1 - 0.5 / size
    worst = xp.min(xp.where(whole, _moving(xp, x, size), 1.0), -1)
    worst = xp.where(whole.any(-1), worst, mean)
    return mean * (1.0 - SHARE * xp.clip(1.0 - worst / DISASTER, 0.0, 1.0))


def _moving(xp: Any, x: Any, size: int) -> Any:
    """Means of every ``size`` neighbours ``(*b, T - size + 1)``."""
    total = xp.concatenate([xp.zeros_like(x[..., :1]), xp.cumsum(x, -1)], -1)
    return (total[..., size:] - total[..., :-size]) / size


def leaps(com: Any, known: Any, dt: float, most: float, radius: int) -> Any:
    """Metres ``(*b, T)`` by which the centre of mass misses the middle of its neighbours in time, beyond acceleration.

    It counts in all frames whose regression window a leap lies in: their velocities come from before and after it.

    Args:
      com: ``(*b, 3, T)`` m.
      known: ``(*b, T)`` bool.
      dt: seconds between frames.
      most: the greatest acceleration that is explained, m/s^2.
      radius: frames on each side of a regression window.
    """
    xp = xp_of(com)
    off = com[..., 1:-1] - 0.5 * (com[..., :-2] + com[..., 2:])
    beyond = xp.sqrt(xp.sum(off * off, -2) + 1e-12) - 0.5 * most * dt * dt
    three = known[..., 1:-1] & known[..., :-2] & known[..., 2:]
    inner = xp.where(three, xp.maximum(beyond, 0.0), 0.0)
    edge = xp.zeros_like(inner[..., :1])
    error = xp.concatenate([edge, inner, edge], -1)
    if xp is np:
        return maximum_filter1d(error, 2 * radius + 1, axis=-1, mode="constant")
    padded = jnp.pad(error, [(0, 0)] * (error.ndim - 1) + [(radius, radius)])
    frames = error.shape[-1]
    return jnp.max(jnp.stack([padded[..., k : k + frames] for k in range(2 * radius + 1)]), 0)


def flight_errors(com: Any, clear: Any, dt: float, up: np.ndarray, gravity: float) -> Any:
    """By how many times clips are too fast or too slow, less one, as their flights show, in all their frames.

    One clip has one speed, so all its frames have the mean of its flights, weighted by their frames; 0 without flights.

    Args:
      com: ``(*b, 3, T)`` m.
      clear: ``(*b, T)`` m from the lowest point to the surface; 0 or less where it is not known.
      dt: seconds between frames.
      up: ``(3,)`` unit vector.
      gravity: m/s^2.
    """
    xp = xp_of(com, clear)
    lead, frames = clear.shape[:-1], clear.shape[-1]
    clips = int(np.prod(lead))
    flat = xp.moveaxis(com, -2, 0).reshape(3, -1)
    found = flight.parabolas(flat, clear.reshape(-1), frames, dt, up)
    weight = xp.where(found.falls, found.count, 0.0)
    error = weight * flight.speed_error(found.gravity, found.spread, gravity)

    def total(x: Any) -> Any:
        return jax.ops.segment_sum(x, found.clip, clips) if xp is jnp else np.bincount(found.clip, x, clips)

    mean = total(error) / xp.maximum(total(weight), 1.0)
    return xp.broadcast_to(mean.reshape(*lead, 1), clear.shape)
