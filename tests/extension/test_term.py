"""Terms of one's own for tracking: a reward for quiet hands and an end for bodies that lie down. A term is a function
of a ``Moment``; its keyword parameters are values of the task, which the command line and policy files know by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.data.builtin import builtin_path
from mjxhuman.envs.clips import load_clips, make_library
from mjxhuman.envs.imitation import ImitationConfig, make_imitation, task_config
from mjxhuman.envs.imitation.terms import REWARDS, TERMINATIONS, Moment
from mjxhuman.envs.terms import register
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator


@register(REWARDS)
def quiet_hands(m: Moment, scale: float = 1.0) -> jax.Array:
    """exp(-scale * speed^2) of the faster wrist, (*b)."""
    wrists = jnp.asarray(m.record.rows(("L_Wrist", "R_Wrist")))
    return jnp.exp(-scale * jnp.max(jnp.sum(jnp.square(m.body.vel[..., wrists, :]), -1), -1))


@register(TERMINATIONS)
def lies(m: Moment, height: float = 0.5) -> jax.Array:
    """The root is lower than ``height`` (m), (*b) bool."""
    return m.body.pos[..., 0, 2] < height


def test_terms_pay_and_end_with_the_values_of_the_task():
    body = load_humanoid("smpl")
    simulator = make_simulator(actuated_humanoid(body), "c")
    library = make_library(load_clips([builtin_path("walk")], body).motions, 1.0 / simulator.dt)
    config = ImitationConfig(
        groups={"state": ("previous_action",)},
        rewards={"quiet_hands": {"weight": 2.0, "scale": 0.1}, "alive": {"weight": 0.5}},
        terminations={"lies": {"height": 1.7}, "too_low": {"term": "lies", "height": 1.8}},
        auto_reset=False,
    )
    assert task_config(config.facts()) == config  # what a policy file says of the task
    env = make_imitation(library, simulator, config)
    clip = jnp.zeros(3, jnp.int32)
    state = jax.jit(env.start)(jax.random.split(jax.random.key(0), 3), clip, clip)
    lifted = state.sim.replace(qpos=state.sim.qpos.at[:, 2].add(jnp.array([1.0, 0.85, 0.7])))  # from 0.9 m
    state = jax.jit(env.step)(state.replace(sim=lifted), jnp.zeros((3, env.action_size)))
    assert np.asarray(state.done).tolist() == [False, True, True]
    paid = state.metrics["reward/quiet_hands"]
    assert np.all((paid > 0.0) & (paid < 2.0))
    np.testing.assert_allclose(state.reward, paid + 0.5, rtol=1e-6)


def test_what_a_term_does_not_take_is_refused():
    with pytest.raises(ValueError, match=r"rewards\.quiet_hands: expected values among weight, scale, found volume"):
        ImitationConfig(rewards={"quiet_hands": {"volume": 1.0}})
