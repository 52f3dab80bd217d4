"""What an evaluation does to the body besides the motion it is to follow: pushes, and starts that are off.

Each clip's are drawn from a seed and the clip's name, so they are the same for every policy and in any company.
"""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import PurePath

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.envs.imitation.events import Start, perturb
from mjxhuman.physics.simulate import Simulator

#: Half widths of a perturbed start: what BeyondMimic (Liao et al. 2025, arXiv 2508.08241) trains with. Of the ranges of
#: its three axes the one that most axes have.
PERTURBED = {
    "position": 0.05, "orientation": 0.1, "joints": 0.1, "linear_velocity": 0.5, "angular_velocity": 0.52,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """Of a roll-out.

    Attributes:
        push: m/s by which the body's velocity is changed once in every second, at a random moment of it, in a random
            horizontal direction. Whatever moves the body learns of it a control step later.
        perturbed: whether the body starts off the clip's state, within ``PERTURBED``.
        seed: of both.

    Raises:
        ValueError: a push below 0.
    """

    push: float = 0.0
    perturbed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.push >= 0:
            raise ValueError(f"push: expected a speed of 0 m/s or more, found {self.push}")

    def __bool__(self) -> bool:
        return self.push > 0 or self.perturbed

    def pushes(self, name: str, steps: int, dt: float) -> np.ndarray:
        """Changes of the root's horizontal velocity at the start of each control step of a clip, ``(steps, 2)`` m/s."""
        found = np.zeros((steps, 2))
        generator = np.random.default_rng([self.seed, _number(name)])
        second = max(1, round(1.0 / dt))
        for first in range(0, steps, second):
            at, angle = first + generator.integers(second), generator.uniform(0.0, 2.0 * np.pi)
            if at < steps:
                found[at] = self.push * np.array([np.cos(angle), np.sin(angle)])
        return found

    def start(
        self, name: str, simulator: Simulator, qpos: np.ndarray, qvel: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The coordinates ``(nq,)`` and velocities ``(nv,)`` that the body starts a clip in instead of the clip's."""
        if not self.perturbed:
            return qpos, qvel
        key = jax.random.fold_in(jax.random.key(self.seed), _number(name))
        clip = Start(jnp.zeros(()), jnp.asarray(qpos, jnp.float32), jnp.asarray(qvel, jnp.float32))
        changed = perturb(clip, key, simulator, **PERTURBED)
        return np.asarray(changed.qpos, np.float64), np.asarray(changed.qvel, np.float64)


def _number(name: str) -> int:
    """A number of a clip's name without its folder."""
    return zlib.crc32(PurePath(name).name.encode())
