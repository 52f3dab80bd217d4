"""The tracking task with a function for its physics, and the reward that has a slope everywhere."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.envs.imitation.config import ImitationConfig
from mjxhuman.envs.imitation.task import Imitation, make_imitation
from mjxhuman.envs.imitation.terms import REWARDS
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.math import rotation
from mjxhuman.physics.control_step import Phase
from mjxhuman.physics.simulate import make_simulator

pytestmark = pytest.mark.compiled

SIZE = 8
KEYS = jax.random.split(jax.random.key(0), SIZE)
CONFIG = ImitationConfig(
    action="residual", action_scale=0.5, groups={"state": ("compact", "previous_action")}, rewards={"deviation": {}}
)

begin = jax.jit(lambda env, *where: env.start(*where))
step = jax.jit(lambda env, *now: env.step(*now))


@pytest.fixture(scope="module")
def env(library, humanoid) -> Imitation:
    return make_imitation(library, make_simulator(actuated_humanoid(humanoid), "c"), CONFIG)


def test_a_step_can_be_imagined_with_the_physics_of_an_engine(env):
    """The same engine as a function: what a learner differentiates through is the task itself, from where episodes
    have been, without ends and pushes."""
    pushed = dataclasses.replace(
        env, config=dataclasses.replace(env.config, events={"push": {"rate": 30.0, "speed": 1.0}})
    )
    clip, frame = jnp.zeros(SIZE, jnp.int32), jnp.full(SIZE, 20)
    action = jnp.full((SIZE, 69), 0.3)
    state = begin(pushed, KEYS, clip, frame)
    after, moved = jax.jit(lambda env, *x: env.transition(*x))(pushed, state, action)
    np.testing.assert_array_equal(after.reward, step(pushed, state, action).reward)
    shoved = np.abs(np.asarray(moved.before.qvel - state.sim.qvel))
    assert np.all(shoved[:, :2].max(1) > 0) and np.all(shoved[:, 2:] == 0)
    np.testing.assert_array_equal(moved.before.qpos, state.sim.qpos)
    np.testing.assert_array_equal(moved.after.qpos, np.where(after.done[:, None], moved.after.qpos, after.sim.qpos))

    def advance(phase: Phase, ctrl: jax.Array) -> Phase:
        stepped = env.simulator.advance(env.simulator.init(*phase), ctrl)
        return Phase(stepped.qpos, stepped.qvel)

    imagined = pushed.imagined(advance)
    begun = jax.jit(imagined.resumed)(KEYS, moved.before, state.task)
    seen = jax.jit(imagined.step)(begun, action)
    np.testing.assert_allclose(seen.sim.qpos, moved.after.qpos, atol=1e-6)
    np.testing.assert_allclose(seen.reward, after.reward, atol=1e-5)
    assert not np.any(seen.done)
    last = begin(imagined, KEYS, clip, jnp.full(SIZE, int(env.library.length[0]) - 1))
    assert not np.any(jax.jit(imagined.step)(last, action).task.steps == 0)  # nothing begins anew


def test_deviation_adds_up_squares_and_has_a_slope_far_off(env):
    """Against NumPy; where a kernel of the imitation reward is flat, a metre off, this one still says where to go."""
    state = begin(env, KEYS, jnp.zeros(SIZE, jnp.int32), jnp.full(SIZE, 20))
    moment = env._moment(state.sim, state.task, jnp.zeros((SIZE, 69)), state.task.action)
    units = {"position": 0.2, "orientation": 0.5, "velocity": 2.0, "angular_velocity": 9.0, "balance": 0.3}
    np.testing.assert_allclose(REWARDS["deviation"](moment, **units), 0, atol=1e-5)
    rng = np.random.default_rng(0)
    pos, vel, angvel = (rng.normal(0, 0.3, (SIZE, 24, 3)) for _ in range(3))
    com, capture, turn = rng.normal(0, 0.2, (SIZE, 3)), rng.normal(0, 0.2, (SIZE, 2)), rng.normal(0, 0.2, (SIZE, 24, 3))
    body, balance = moment.body, moment.balance
    off = dataclasses.replace(
        moment,
        body=body._replace(
            pos=body.pos + pos, vel=body.vel + vel, angvel=body.angvel + angvel,
            rot=rotation.multiply(rotation.exp(turn), body.rot),
        ),
        balance=dataclasses.replace(balance, com=balance.com + com, capture_point=balance.capture_point + capture),
    )  # fmt: skip
    size = np.linalg.norm(turn, axis=-1, keepdims=True)
    half = 2 * np.sin(size / 2) * turn / size
    squares = [(pos, 0.2), (half, 0.5), (vel, 2.0), (angvel, 9.0), (com, 0.3), (capture, 0.3)]
    error = sum(np.mean(x.reshape(SIZE, -1) ** 2, 1) / unit**2 for x, unit in squares)
    np.testing.assert_allclose(REWARDS["deviation"](off, **units), -np.log1p(error), rtol=1e-4)

    def far(shift: jax.Array, name: str) -> jax.Array:
        away = dataclasses.replace(moment, body=body._replace(pos=body.pos + shift))
        return jnp.sum(REWARDS[name](away))

    slope, flat = (float(jax.grad(far)(jnp.float32(1.0), name)) for name in ("deviation", "imitation"))
    assert slope < -1.0 < -1e-3 < flat
    effort = REWARDS["effort"](dataclasses.replace(moment, action=jnp.full((SIZE, 69), 0.5)))
    np.testing.assert_allclose(effort, -0.25)
