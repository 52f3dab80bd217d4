"""Which contact forces explain a motion: a batched convex solve with a fixed number of iterations.

Every frame needs an external wrench w (inverse dynamics of the whole body). Candidate points near a surface may push
with forces f_p inside friction cones about its normal there. The solve is the strictly convex programme

    min_f  1/2 |w - sum_p G_p f_p|^2  +  1/2 sum_p kappa_p |f_p|^2     s.t.  f_p in the friction cone of p

in body weights (forces) and body weights times ``LENGTH`` (moments about the centre of mass). The price kappa_p of a
force grows with the distance of its point from the surface, so a point carries load where the surface is and cannot
where it is not, without a hard gate; it also grows with sliding speed, so that among equivalent explanations the one
that slides least is chosen. What remains, r = w - sum G f, is the residual no contact explains.

r is also the dual variable: with P the projection on the cone, f_p = P(G_p^T r) / kappa_p, so the programme is one
equation in six unknowns, r + sum_p G_p P(G_p^T r) / kappa_p = w, the stationarity of a strongly convex function. A
globalised semi-smooth Newton method (Qi and Sun 1993) solves it; the last step is differentiable, which at the
solution gives the exact implicit derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.scenes.surface import FRICTION
from mjxhuman.types import Array

#: Metres that make a moment comparable with a force: about the length of a foot, the span of balance.
LENGTH = 0.3
#: Least price of a force: eight points of a flat foot leave 0.25 % of the load as residual.
MIN_PRICE = 0.02
#: Newton steps; the first ones solve softened programmes (prices raised by 1, falling to 1e-3), the last three the
#: programme itself. On recorded clips and damaged copies of them every frame is then within 3e-5 body weights of the
#: solution; of random wrenches on random points, which are harder, 90 % are (see the tests).
ITERATIONS, EXACT_ITERATIONS = 9, 3
#: Fractions of a Newton step that are tried.
STEPS = (1.0, 0.4)


class ContactSolution(NamedTuple):
    """Forces and what is left of the force, in body weights; what is left of the moment, body weights times metres."""

    force: Float[Array, "P 3 N"]
    residual_force: Float[Array, "3 N"]
    residual_moment: Float[Array, "3 N"]


class Cones(NamedTuple):
    """Friction cones of the points. A normal of None is +z for all, by structure: programs then leave it out."""

    normal: Float[Array, "P 3 N"] | None = None  # unit vectors, world axes
    friction: Float[Array, "..."] | float = FRICTION  # Coulomb coefficient, broadcasts against (P, N)
    shear: float = 1.0  # price of a unit of squared force across the normal, over that along it

    def mean(self, groups: Sequence[np.ndarray], share: Sequence[Array]) -> Cones:
        """A cone for each group of points (their indices), the mean of theirs by shares ``(P_g, N)`` that sum to 1."""
        friction, normal = self.friction, self.normal
        if jnp.ndim(friction) and jnp.shape(friction)[0] > 1:
            every = jnp.asarray(friction)
            friction = jnp.stack([jnp.sum(w * every[g], 0) for g, w in zip(groups, share, strict=True)])
        if normal is not None:
            normal = jnp.stack([jnp.sum(w[:, None] * normal[g], 0) for g, w in zip(groups, share, strict=True)])
            normal = normal * jax.lax.rsqrt(jnp.sum(normal * normal, 1, keepdims=True) + 1e-20)
        return Cones(normal, friction, self.shear)


UPRIGHT = Cones()


def solve(
    force: Float[Array, "3 N"],
    moment: Float[Array, "3 N"],
    arm: Float[Array, "P 3 N"],
    price: Float[Array, "P N"],
    cones: Cones = UPRIGHT,
) -> ContactSolution:
    """Distribute a wrench to contact points.

    Args:
      force: required external force, body weights, world axes.
      moment: required moment about the centre of mass, body weights times metres.
      arm: points relative to the centre of mass, metres.
      price: cost of a unit of squared force, at least ``MIN_PRICE``.
      cones: where the points may push.
    """
    wrench = jnp.concatenate([force, moment / LENGTH])
    arm = arm / LENGTH
    r = _newton(wrench, arm, price, cones)
    f = _forces(r, arm, 1.0 / price, cones)
    applied = jnp.concatenate([jnp.sum(f, 0), jnp.sum(_cross(arm, f), 0)])
    rest = wrench - applied
    return ContactSolution(f, rest[:3], rest[3:] * LENGTH)


def _cross(a: Array, b: Array) -> Array:
    a0, a1, a2, b0, b1, b2 = a[..., 0, :], a[..., 1, :], a[..., 2, :], b[..., 0, :], b[..., 1, :], b[..., 2, :]
    return jnp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -2)


def _pull(r: Array, arm: Array) -> tuple[Array, Array, Array]:
    """G_p^T r: the direction in which the residual asks point p to push, ``(P, N)`` each."""
    m = r[3:]
    x = r[0] + m[1] * arm[:, 2] - m[2] * arm[:, 1]
    y = r[1] + m[2] * arm[:, 0] - m[0] * arm[:, 2]
    z = r[2] + m[0] * arm[:, 1] - m[1] * arm[:, 0]
    return x, y, z


class _Projection(NamedTuple):
    """Projection of the pull on the friction cone, and the derivative of the projection, ``(P, N)`` each.

    The projection is ``normal n + tangential u`` with n the cone's axis and u the unit vector of the pull across it, of
    which ``u`` holds x and y alone where n is +z. Both are of the programme with lengths across n stretched by the root
    of ``Cones.shear``, in which all directions have one price. Its derivative is ``along n1 n1' + across v v' +
    out n2 n2'`` with n1 along the cone's generator, v across n and u, and n2 along the cone's outward normal.
    """

    normal: Array
    tangential: Array
    u: tuple[Array, ...]
    along: Array
    across: Array
    out: Array


def _project(r: Array, arm: Array, cones: Cones) -> _Projection:
    stretch = cones.shear**0.5
    mu = cones.friction * stretch
    x, y, z = _pull(r, arm)
    if cones.normal is None:
        flat: tuple[Array, ...] = (x, y)
        square = x * x + y * y + 1e-20
    else:
        n = cones.normal
        pull, z = (x, y, z), x * n[:, 0] + y * n[:, 1] + z * n[:, 2]
        flat = tuple(g - z * n[:, i] for i, g in enumerate(pull))
        square = flat[0] * flat[0] + flat[1] * flat[1] + flat[2] * flat[2] + 1e-20
    inverse = jax.lax.rsqrt(square)
    t = square * inverse / stretch
    inside = t <= mu * z
    polar = mu * t <= -z
    s = (z + mu * t) / (1 + mu * mu)
    tangential = jnp.where(inside, t, jnp.where(polar, 0.0, mu * s))
    return _Projection(
        normal=jnp.where(inside, z, jnp.where(polar, 0.0, s)),
        tangential=tangential,
        u=tuple(g * inverse for g in flat),
        along=jnp.where(polar, 0.0, 1.0),
        across=jnp.where(inside, 1.0, tangential * inverse * stretch),
        out=jnp.where(inside, 1.0, 0.0),
    )


def _vector(tangential: Array, normal: Array, u: tuple[Array, ...], cones: Cones) -> list[Array]:
    """x, y and z ``(P, N)`` of ``tangential u + normal n``, no longer stretched."""
    tangential = tangential / cones.shear**0.5
    if cones.normal is None:
        return [tangential * u[0], tangential * u[1], normal]
    return [tangential * u[i] + normal * cones.normal[:, i] for i in range(3)]


def _forces(r: Array, arm: Array, weight: Array, cones: Cones) -> Array:
    p = _project(r, arm, cones)
    return jnp.stack(_vector(p.tangential, p.normal, p.u, cones), 1) * weight[:, None]


def _objective(r: Array, wrench: Array, arm: Array, weight: Array, cones: Cones) -> Array:
    p = _project(r, arm, cones)
    energy = jnp.sum(weight * (p.normal * p.normal + p.tangential * p.tangential), 0)
    return 0.5 * jnp.sum(r * r, 0) + 0.5 * energy - jnp.sum(wrench * r, 0)


def _gradient(r: Array, wrench: Array, arm: Array, weight: Array, cones: Cones) -> Array:
    f = _forces(r, arm, weight, cones)
    return r + jnp.concatenate([jnp.sum(f, 0), jnp.sum(_cross(arm, f), 0)]) - wrench


def _derivative(p: _Projection, weight: Array, cones: Cones) -> tuple[Array, ...]:
    """xx, xy, yy, xz, yz and zz ``(P, N)`` of the derivative of the projection, times the weight."""
    stretch = cones.shear**0.5
    mu = cones.friction * stretch
    cc = 1.0 / (1.0 + mu * mu)
    ss, sc = mu * mu * cc, mu * cc
    along, across, out = weight * p.along, weight * p.across, weight * p.out
    # in the axes u, n and v it is [[flat, lean, 0], [lean, steep, 0], [0, 0, across]]
    flat, lean, steep = along * ss + out * cc, sc * (along - out), along * cc + out * ss
    flat, lean, across = flat / cones.shear, lean / stretch, across / cones.shear
    if cones.normal is None:
        x, y = p.u
        xx, yy = x * x * flat + y * y * across, y * y * flat + x * x * across
        return xx, x * y * (flat - across), yy, x * lean, y * lean, steep
    n, u = cones.normal, p.u
    flat, steep = flat - across, steep - across
    entries = {}
    for i, j in ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)):
        ni, nj = n[:, i], n[:, j]
        entries[i, j] = u[i] * u[j] * flat + (u[i] * nj + ni * u[j]) * lean + ni * nj * steep
        if i == j:
            entries[i, j] = entries[i, j] + across
    return tuple(entries.values())


def _hessian(p: _Projection, arm: Array, weight: Array, cones: Cones) -> list[Array]:
    """Contribution of every point to the lower triangle of the generalised Hessian: 21 arrays ``(P, N)``, row by row.

    With D the derivative of the projection times the weight and [a] the cross-product matrix of the arm, the blocks
    are D, [a] D and [a] D [a]'.
    """
    # computed once, then read by the 21 products
    xx, xy, yy, xz, yz, zz = jax.lax.optimization_barrier(_derivative(p, weight, cones))
    ax, ay, az = arm[:, 0], arm[:, 1], arm[:, 2]
    d = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
    low = [
        [ay * d[2][k] - az * d[1][k] for k in range(3)],
        [az * d[0][k] - ax * d[2][k] for k in range(3)],
        [ax * d[1][k] - ay * d[0][k] for k in range(3)],
    ]
    block = [[ay * row[2] - az * row[1], az * row[0] - ax * row[2], ax * row[1] - ay * row[0]] for row in low]
    top = [d[i][j] for i in range(3) for j in range(i + 1)]
    return [*top, *(x for i in range(3) for x in [*low[i], *block[i][: i + 1]])]


def _gradient_hessian(
    r: Array, wrench: Array, arm: Array, weight: Array, cones: Cones
) -> tuple[Array, list[list[Array]]]:
    """Gradient ``(6, N)`` and lower triangle of the generalised Hessian, entries ``(N,)``."""
    p = _project(r, arm, cones)
    fx, fy, fz = _vector(weight * p.tangential, weight * p.normal, p.u, cones)
    ax, ay, az = arm[:, 0], arm[:, 1], arm[:, 2]
    push = [fx, fy, fz, ay * fz - az * fy, az * fx - ax * fz, ax * fy - ay * fx]
    # one stacked reduction instead of 27: separate ones would each compute their inputs anew
    total = jnp.sum(jnp.stack([*push, *_hessian(p, arm, weight, cones)]), 1)
    rows, start = [], 6
    for i in range(6):
        rows.append([total[start + j] + (1.0 if i == j else 0.0) for j in range(i + 1)])
        start += i + 1
    return r + total[:6] - wrench, rows


def _solve_spd(a: list[list[Array]], b: Array) -> Array:
    """Cholesky solve of a 6 x 6 system whose entries are batched scalars."""
    n = len(a)
    low: list[list[Array]] = [[jnp.zeros(())] * n for _ in range(n)]
    inv: list[Array] = []
    for i in range(n):
        for j in range(i + 1):
            x = a[i][j]
            for k in range(j):
                x = x - low[i][k] * low[j][k]
            if i == j:
                inv.append(jax.lax.rsqrt(x))
                low[i][i] = x * inv[i]
            else:
                low[i][j] = x * inv[j]
    y: list[Array] = []
    for i in range(n):
        x = b[i]
        for k in range(i):
            x = x - low[i][k] * y[k]
        y.append(x * inv[i])
    z: list[Array] = [jnp.zeros(())] * n
    for i in reversed(range(n)):
        x = y[i]
        for k in range(i + 1, n):
            x = x - low[k][i] * z[k]
        z[i] = x * inv[i]
    return jnp.stack(z)


def _newton(wrench: Array, arm: Array, price: Array, cones: Cones) -> Array:
    fixed, arm_, price_ = jax.lax.stop_gradient((wrench, arm, price))
    cones_ = jax.tree.map(lambda x: x if isinstance(x, float) else jax.lax.stop_gradient(x), cones)
    soft = ITERATIONS - 1 - EXACT_ITERATIONS

    def body(k: Array, r: Array) -> Array:
        weight = 1.0 / (price_ + jnp.where(k < soft, 10.0 ** (-3.0 * k / soft), 0.0))
        gradient, hessian = _gradient_hessian(r, fixed, arm_, weight, cones_)
        return _descend(r, _solve_spd(hessian, gradient), fixed, arm_, weight, cones_)

    start = fixed / (1.0 + jnp.sum(1.0 / (1.0 + price_), 0))
    r = jax.lax.stop_gradient(jax.lax.fori_loop(0, ITERATIONS - 1, body, start))
    # one differentiable Newton step with the Hessian held: at the solution the exact implicit derivative
    gradient, hessian = _gradient_hessian(r, fixed, arm_, 1.0 / price_, cones_)
    exact = r - _solve_spd(hessian, _gradient(r, wrench, arm, 1.0 / price, cones))
    safe = _descend(r, _solve_spd(hessian, gradient), fixed, arm_, 1.0 / price_, cones_)
    return exact + jax.lax.stop_gradient(safe - exact)


def _descend(r: Array, step: Array, wrench: Array, arm: Array, weight: Array, cones: Cones) -> Array:
    """The best of a few fractions of a Newton step. Best, not first: a long step can descend and still land far off.

    The whole step is kept unless another is better by more than float32 can blur.
    """
    trials = [r - share * step for share in STEPS]
    values = [_objective(x, wrench, arm, weight, cones) for x in trials]
    best, least = trials[0], values[0] - 1e-5 * jnp.sum(wrench * wrench, 0)
    for x, v in zip(trials[1:], values[1:], strict=True):
        best, least = jnp.where(v < least, x, best), jnp.minimum(v, least)
    return best
