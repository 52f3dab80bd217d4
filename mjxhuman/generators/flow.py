"""Flow matching on the straight path from data to noise, ``x_s = (1 - s) x0 + s e`` (Liu et al. 2022, arXiv 2209.03003;
Lipman et al. 2022, arXiv 2210.02747).

One noise level ``s`` in [0, 1] mixes, conditions and converts; there is no second table that could disagree with it. A
network gives the velocity ``v = e - x0``; arrays ``x`` are ``(B, ...)`` and levels ``(B,)`` or ``()``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Key

from mjxhuman.types import Array

#: (x (B, ...), level ()) -> velocity (B, ...).
Velocity = Callable[[Array, Array], Array]


def along(s: Array, x: Array) -> Array:
    """Levels ``(B,)`` or ``()`` with the axes that make them broadcast against ``x (B, ...)``."""
    s = jnp.asarray(s, x.dtype)
    return s.reshape(*s.shape, *(1,) * (x.ndim - s.ndim))


def mix(x0: Array, noise: Array, s: Array) -> Array:
    """The point of the path at level ``s``."""
    s = along(s, x0)
    return (1.0 - s) * x0 + s * noise


def velocity(x0: Array, noise: Array) -> Array:
    """Of the path, which is straight: the same at every level."""
    return noise - x0


def to_data(x: Array, v: Array, s: Array) -> Array:
    """The data that a velocity at level ``s`` predicts."""
    return x - along(s, x) * v


def to_noise(x: Array, v: Array, s: Array) -> Array:
    """The noise that a velocity at level ``s`` predicts."""
    return x + (1.0 - along(s, x)) * v


def from_data(x: Array, x0: Array, s: Array) -> Array:
    """The velocity of a prediction of the data at level ``s`` above 0."""
    return (x - x0) / along(s, x)


def shifted(s: Float[np.ndarray, "*b"], shift: float) -> Float[np.ndarray, "*b"]:
    """Levels moved towards noise, ``k s / (1 + (k - 1) s)`` (Esser et al. 2024, arXiv 2403.03206, eq. 23)."""
    return shift * s / (1.0 + (shift - 1.0) * s)


def levels(steps: int, shift: float = 1.0) -> Float[np.ndarray, " n"]:
    """Levels that a sampler of ``steps`` steps goes through, from 1 down to 0; evenly spaced, then ``shifted``.

    Raises:
        ValueError: less than one step, or a shift that is not above 0.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"levels: expected steps >= 1 and shift > 0, found {steps} and {shift}")
    return shifted(np.linspace(1.0, 0.0, steps + 1), shift)


def checked(path: Sequence[float]) -> Float[np.ndarray, " n"]:
    """Levels of a sampler as an array.

    Raises:
        ValueError: levels that do not go down from at most 1 to 0.
    """
    s = np.asarray(path, np.float64)
    if s.ndim != 1 or len(s) < 2 or s[0] > 1.0 or s[-1] != 0.0 or not np.all(np.diff(s) < 0):
        raise ValueError(f"levels: expected at least two that go down from at most 1 to 0, found {path}")
    return s


def euler(field: Velocity, x: Array, path: Sequence[float], *, last: int | None = None) -> Array:
    """Data from noise ``x`` by Euler's method through the levels of ``path``.

    ``last``: gradients go through so many steps at the end alone, each computed anew on the way back (DRaFT-K, Clark et
    al. 2024, arXiv 2309.17400); None: through all.

    Raises:
        ValueError: levels as of ``checked``, or ``last`` below 1 or above the number of steps.
    """
    s = checked(path)
    kept = len(s) - 1 if last is None else last
    if not 1 <= kept < len(s):
        raise ValueError(f"last: expected 1 to {len(s) - 1} steps, found {last}")

    def step(x: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        now, after = at
        return x + (after - now).astype(x.dtype) * field(x, now), None

    ends = jnp.asarray(s[:-1]), jnp.asarray(s[1:])
    if first := len(s) - 1 - kept:
        x, _ = jax.lax.scan(step, x, jax.tree.map(lambda e: e[:first], ends))
        x = jax.lax.stop_gradient(x)
    x, _ = jax.lax.scan(step if last is None else jax.checkpoint(step), x, jax.tree.map(lambda e: e[first:], ends))
    return x


def renoised(field: Velocity, x: Array, path: Sequence[float], rng: Key[Array, ""]) -> Array:
    """Data from noise ``x`` in few steps: at each level data is predicted and mixed with fresh noise of the next, as
    consistency models and distilled generators are sampled (Song et al. 2023, arXiv 2303.01469, algorithm 1)."""
    s = checked(path)

    def step(x: Array, at: tuple[Array, Array, Array]) -> tuple[Array, None]:
        now, after, key = at
        x0 = to_data(x, field(x, now), now)
        return mix(x0, jax.random.normal(key, x.shape, x.dtype), after), None

    ends = jnp.asarray(s[:-1]), jnp.asarray(s[1:])
    x, _ = jax.lax.scan(step, x, (*ends, jax.random.split(rng, len(s) - 1)))
    return x


def unipc(field: Velocity, x: Array, path: Sequence[float]) -> Array:
    """Data from noise ``x`` by UniPC of order 2, predicting data, B(h) = exp(h) - 1 (Zhao et al. 2023, arXiv
    2302.04867, algorithms 1 and 2): each new prediction corrects the step that led to it, so a step costs one
    evaluation."""
    table = jnp.asarray(_unipc_table(checked(path)))

    def step(carry: Any, row: Array) -> tuple[Any, None]:
        x, base, last, older = carry
        now, keep, gain, predict, correct_old, correct_new, first = row.astype(x.dtype)
        found = to_data(x, field(x, now), now)
        # the step before, with what is now known at its end; nothing to correct at the first level
        mended = base - correct_old * (older - last) - correct_new * (found - last)
        x = jnp.where(first > 0, x, mended)
        base = keep * x + gain * found
        return (base - predict * (last - found), base, found, last), None

    none = jnp.zeros_like(x)
    start: Any = (x, x, none, none)
    end, _ = jax.lax.scan(step, start, table)
    data: Array = end[0]
    return data


def _unipc_table(s: np.ndarray) -> np.ndarray:
    """Rows of coefficients for ``unipc``, one per step from ``s[i]`` to ``s[i + 1]``: the level, the factors of ``x``
    and of the prediction there, of the predictor's difference, of the two differences that correct the step before, and
    whether it is the first."""
    with np.errstate(divide="ignore"):
        half_log = np.log1p(-s) - np.log(s)  # logarithm of signal over noise; infinite at both ends
    rows = []
    for i in range(len(s) - 1):
        h = half_log[i + 1] - half_log[i]
        gain = -(1.0 - s[i + 1]) * np.expm1(-h)
        predict = 0.0
        if i > 0 and np.isfinite(h) and np.isfinite(half_log[i - 1]):
            before = (half_log[i - 1] - half_log[i]) / h
            predict = 0.5 * gain / before
        rows.append([s[i], s[i + 1] / s[i], gain, -predict, *_correction(s, half_log, i), float(i == 0)])
    return np.array(rows)


def _correction(s: np.ndarray, half_log: np.ndarray, i: int) -> tuple[float, float]:
    """Factors with which the differences of the older and of the new prediction to the one between them correct the
    step from ``s[i - 1]`` to ``s[i]``; zeros where it began or ended at an infinite distance."""
    if i == 0 or not np.isfinite(h := half_log[i] - half_log[i - 1]):
        return 0.0, 0.0
    scale = (1.0 - s[i]) * np.expm1(-h)
    if i < 2 or not np.isfinite(half_log[i - 2]):
        return 0.0, 0.5 * scale
    before = (half_log[i - 2] - half_log[i - 1]) / h
    one = np.expm1(-h) / -h - 1.0
    two = one / -h - 0.5
    b = np.array([one, 2.0 * two]) / np.expm1(-h)
    old, new = np.linalg.solve(np.array([[1.0, 1.0], [before, 1.0]]), b)
    return scale * old / before, scale * new
