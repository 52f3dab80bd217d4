"""The contact solve against a general-purpose convex solver, its optimality conditions and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from mjxhuman.physics import contact

pytestmark = pytest.mark.compiled


def random_problem(n, seed=0, points=24, spread=0.2):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-spread, spread, (points, n)), rng.uniform(-spread, spread, (points, n))
    arm = np.stack([x, y, np.full((points, n), -0.9)], 1)
    height = np.abs(rng.normal(size=(points, n))) * 0.3 * (rng.uniform(size=(points, n)) > rng.uniform(size=n))
    price = contact.MIN_PRICE + np.square(np.maximum(height - 0.02, 0) / 0.01)
    force = np.stack([rng.normal(size=n) * 0.3, rng.normal(size=n) * 0.3, 1 + rng.normal(size=n) * 0.6])
    return force, rng.normal(size=(3, n)) * 0.1, arm, price


def objective(f, force, moment, arm, price):
    """The programme's value at forces ``(P, 3)``, and its slope, flat."""
    push, turn = force - f.sum(0), (moment - np.cross(arm, f).sum(0)) / contact.LENGTH
    slope = price[:, None] * f - push - np.cross(turn, arm) / contact.LENGTH
    return 0.5 * (push @ push + turn @ turn) + 0.5 * (price[:, None] * f * f).sum(), slope.ravel()


def random_cones(n, points, seed=0):
    """A normal and a friction of its own for every point."""
    rng = np.random.default_rng(seed)
    normal = np.array([0.0, 0.0, 1.0])[:, None] + rng.normal(size=(points, 3, n)) * 0.4
    return contact.Cones(normal / np.linalg.norm(normal, axis=1, keepdims=True), rng.uniform(0.3, 1.2, (points, n)))


@pytest.mark.parametrize("slanted", [False, True])
def test_matches_scipy_slsqp(slanted):
    n, points = 6, 6
    problem = random_problem(n, seed=3, points=points)
    cones = random_cones(n, points) if slanted else contact.Cones()
    with jax.enable_x64(True):
        ours = np.asarray(contact.solve(*(jnp.asarray(x) for x in problem), cones).force)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0])[:, None] if cones.normal is None else cones.normal, (points, 3, n))
    friction = np.broadcast_to(cones.friction, (points, n))
    for k in range(n):
        args = tuple(x[..., k] for x in problem)

        def parts(x, k=k):
            f = x.reshape(-1, 3)
            load = np.sum(f * up[:, :, k], 1)
            return load, np.sqrt(np.sum(np.square(f - load[:, None] * up[:, :, k]), 1) + 1e-24)

        def slack(x, parts=parts, k=k):
            load, shear = parts(x)
            return friction[:, k] * load - shear

        cone = {"type": "ineq", "fun": slack}
        push = {"type": "ineq", "fun": lambda x, parts=parts: parts(x)[0]}
        start = (0.05 * up[:, :, k]).ravel()
        found = minimize(
            lambda x, args=args: objective(x.reshape(-1, 3), *args), start, constraints=[cone, push], method="SLSQP",
            jac=True, options={"maxiter": 500, "ftol": 1e-14},
        )  # fmt: skip
        assert slack(ours[:, :, k].ravel()).min() > -1e-6
        mine, _ = objective(ours[:, :, k], *args)
        # no worse than the general solver's optimum, and not below it: both are the minimum
        assert mine == pytest.approx(found.fun, rel=2e-5, abs=1e-8)


def test_forces_turn_with_the_world():
    """A slope is a level floor in a world that is turned: same residual, same loads, turned directions."""
    force, moment, arm, price = random_problem(256, seed=4)
    turn = Rotation.random(random_state=1).as_matrix()

    def turned(x):
        return jnp.asarray(np.einsum("ij,...jn->...in", turn, x))

    with jax.enable_x64(True):
        level = contact.solve(*(jnp.asarray(x) for x in (force, moment, arm, price)))
        normal = jnp.asarray(np.broadcast_to(turn[:, 2][None, :, None], arm.shape))
        slope = contact.solve(turned(force), turned(moment), turned(arm), jnp.asarray(price), contact.Cones(normal))
    # directions across the normal are undefined where the pull is along it
    np.testing.assert_allclose(slope.force, turned(level.force), atol=1e-7)
    np.testing.assert_allclose(slope.residual_force, turned(level.residual_force), atol=1e-7)
    np.testing.assert_allclose(slope.residual_moment, turned(level.residual_moment), atol=1e-7)


def test_level_floors_are_solved_as_surfaces_whose_normals_are_up():
    """The program without normals against the one with them, at a friction of each point's own."""
    force, moment, arm, price = random_problem(256, seed=6)
    friction = random_cones(256, len(arm)).friction
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0])[:, None], arm.shape)
    with jax.enable_x64(True):
        problem = [jnp.asarray(x) for x in (force, moment, arm, price)]
        left_out, given = (contact.solve(*problem, contact.Cones(n, jnp.asarray(friction))) for n in (None, up))
        assert np.abs(left_out.force - contact.solve(*problem).force).max() > 0.05
    for a, b in zip(left_out, given, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_forces_stay_in_their_cones_and_residual_closes_the_balance():
    force, moment, arm, price = random_problem(512, seed=1)
    s = contact.solve(*(jnp.asarray(x, jnp.float32) for x in (force, moment, arm, price)))
    f = np.asarray(s.force)
    assert (f[:, 2] >= 0).all()
    assert (np.hypot(f[:, 0], f[:, 1]) <= contact.FRICTION * f[:, 2] + 1e-5).all()
    np.testing.assert_allclose(f.sum(0) + s.residual_force, force, atol=2e-5)
    np.testing.assert_allclose(np.cross(arm, f, axis=1).sum(0) + s.residual_moment, moment, atol=2e-5)


def test_fixed_iterations_converge(monkeypatch):
    problem = [jnp.asarray(x, jnp.float32) for x in random_problem(4096, seed=2, points=32)]
    fast = np.concatenate(contact.solve(*problem)[1:])
    monkeypatch.setattr(contact, "ITERATIONS", 80)
    exact = np.concatenate(contact.solve(*problem)[1:])
    error = np.abs(fast - exact).max(0)
    assert np.quantile(error, 0.9) < 1e-4
    assert np.median(error) < 5e-6


def test_standing_and_falling_bodies():
    corners = np.array([[0.1, 0.1, -0.9], [0.1, -0.1, -0.9], [-0.1, 0.1, -0.9], [-0.1, -0.1, -0.9]])
    arm = jnp.asarray(np.repeat(corners[:, :, None], 3, -1), jnp.float32)
    near = jnp.full((4, 3), contact.MIN_PRICE).at[:, 1].set(1e4)  # the second body is far above the floor
    force = jnp.zeros((3, 3)).at[2, :2].set(1.0)  # the third is in free fall and needs nothing
    s = contact.solve(force, jnp.zeros((3, 3)), arm, near)
    np.testing.assert_allclose(s.residual_force[2], [0.005, 1.0, 0.0], atol=2e-3)
    np.testing.assert_allclose(s.force[:, 2, 0], 0.25, atol=2e-3)


@pytest.mark.parametrize("slanted", [False, True])
def test_derivative_matches_finite_differences(slanted):
    with jax.enable_x64(True):
        problem = [jnp.asarray(x) for x in random_problem(8, seed=5, points=8)]
        if slanted:
            problem += [jnp.asarray(x) for x in random_cones(8, 8)[:2]]
        rng = np.random.default_rng(0)

        def solve(force, moment, arm, price, *cones):
            return contact.solve(force, moment, arm, price, contact.Cones(*cones))

        weights = [jnp.asarray(rng.normal(size=np.shape(x))) for x in solve(*problem)]

        def value(*args):
            return sum(jnp.sum(w * x) for w, x in zip(weights, solve(*args), strict=True))

        size = (1.0, 1.0, 1.0, 0.01, 1.0, 1.0)
        directions = [jnp.asarray(rng.normal(size=x.shape)) * k for x, k in zip(problem, size, strict=False)]
        _, forward = jax.jvp(value, problem, directions)
        grads = jax.grad(value, tuple(range(len(problem))))(*problem)
        reverse = sum(jnp.sum(g * d) for g, d in zip(grads, directions, strict=True))
        h = 1e-6
        moved = [value(*(x + s * h * d for x, d in zip(problem, directions, strict=True))) for s in (1, -1)]
        finite = (moved[0] - moved[1]) / (2 * h)
        assert float(forward) == pytest.approx(float(reverse), rel=1e-9)
        assert float(forward) == pytest.approx(float(finite), rel=2e-4)


def test_friction_may_cost_more_than_pressure(x64):
    """One point under the centre of mass, inside its cone: each direction answers to its own price."""
    force, zero = jnp.asarray([[0.1], [0.2], [1.0]]), jnp.zeros((3, 1))
    price = jnp.full((1, 1), 0.05)
    found = contact.solve(force, zero, jnp.zeros((1, 3, 1)), price, contact.Cones(shear=4.0)).force[0, :, 0]
    np.testing.assert_allclose(found, [0.1 / 1.2, 0.2 / 1.2, 1.0 / 1.05], rtol=1e-9)
    # beyond the cone: on its edge, at the least of the programme
    steep = contact.solve(force.at[0].set(2.0), zero, jnp.zeros((1, 3, 1)), price, contact.Cones(shear=4.0)).force[0]
    n, t = float(steep[2, 0]), float(jnp.hypot(steep[0, 0], steep[1, 0]))
    assert t == pytest.approx(contact.FRICTION * n, rel=1e-6)
    pull, mu = float(np.hypot(2.0, 0.2)), contact.FRICTION
    assert n == pytest.approx((1.0 + mu * pull) / (1.05 + mu * mu * 1.2), rel=1e-6)
