"""An observation of one's own, as a sensor gives it: where the root is headed, by a compass that is two control steps
late and a few degrees off. The policy sees that, the critic the truth; an evaluation leaves out the noise."""

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.data.builtin import builtin_path
from mjxhuman.envs.clips import load_clips, make_library
from mjxhuman.envs.imitation import ImitationConfig, make_imitation
from mjxhuman.envs.imitation.observations import heading
from mjxhuman.envs.imitation.terms import OBSERVATIONS, Moment
from mjxhuman.envs.terms import register
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator


@register(OBSERVATIONS)
def compass(m: Moment, declination: float = 0.0) -> jax.Array:
    """Cosine and sine of the heading from magnetic north, which lies ``declination`` rad off +x: (*b, 2)."""
    cosine, sine = heading(m.body.rot[..., 0, :])
    angle = jnp.arctan2(sine, cosine) - declination
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)


def test_the_compass_is_late_and_inexact():
    body = load_humanoid("smpl")
    simulator = make_simulator(actuated_humanoid(body), "c")
    library = make_library(load_clips([builtin_path("walk")], body).motions, 1.0 / simulator.dt)
    config = ImitationConfig(
        action="residual",
        groups={"state": ("compass", "previous_action"), "privileged_state": ("true_north",)},
        observations={"compass": {"noise": 0.05, "delay": 2}, "true_north": {"term": "compass"}},
        starts={"heading": {"largest": 2 * np.pi}},
        terminations={},
        auto_reset=False,
    )
    env = make_imitation(library, simulator, config)
    states, step = [jax.jit(env.reset)(jax.random.split(jax.random.key(0), 64))], jax.jit(env.step)
    for _ in range(3):
        states.append(step(states[-1], jnp.zeros((64, env.action_size))))
    seen = np.stack([state.obs["state"][:, :2] for state in states])  # (4, 64, 2)
    true = np.stack([state.obs["privileged_state"] for state in states])
    assert np.std(true[0]) > 0.5  # episodes start facing anywhere
    assert np.abs(true[1] - true[0]).max() > 1e-3
    noise = seen - true[[0, 0, 0, 1]]
    assert 0.045 < np.std(noise) < 0.055
    compass_then = config.plain().observations[0]  # in an evaluation
    assert (compass_then.noise, compass_then.delay) == (0.0, 2)
