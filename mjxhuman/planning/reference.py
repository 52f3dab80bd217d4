"""The motion a plan is to perform, as arrays per control step: states, feed-forward targets, features."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxhuman.envs.clips import ClipLibrary, make_library
from mjxhuman.envs.imitation.reference import feed_forward
from mjxhuman.humanoids.actuated import Actuated
from mjxhuman.math.timeseries import longest_run
from mjxhuman.physics.simulate import Simulator
from mjxhuman.planning import terms
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import Motion

#: rad by which feed-forward alone may move a target from the reference's pose: inverse dynamics of a motion that no
#: body can do (a jump of its markers, a wrong frame rate) asks for more, and springs pulled so far only shake.
MOST_FEED_FORWARD = 1.0

#: m by which a reference may overlap the floor or itself before that is said.
OVERLAP = 0.05
#: s for which nothing of a reference comes within ``CLEAR`` m of the floor before that is said: more than a jump lasts,
#: in which the body would rise by 1.2 m, so something that is not there holds it up.
FLIGHT, CLEAR = 1.0, 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """T frames at the control rate."""

    motion: Motion
    qpos: np.ndarray  # (T, nq)
    qvel: np.ndarray  # (T, nv)
    ctrl: np.ndarray  # (T, nu) rad, feed-forward targets of the step that begins at each frame
    features: terms.Features  # (..., T)
    known: Any = None  # what else is known of the motion, for terms of the caller's: a pytree of arrays (..., T)

    @property
    def frames(self) -> int:
        """T."""
        return len(self.qpos)

    def after(self, first: int) -> Reference:
        """What is left of it from a frame on; ``motion`` stays whole."""
        features, known = jax.tree.map(lambda x: x[..., first:], (self.features, self.known))
        return Reference(self.motion, self.qpos[first:], self.qvel[first:], self.ctrl[first:], features, known)

    def window(self, first: int, horizon: int) -> tuple[terms.Features, Any]:
        """Features and what is known ``(..., 1, H)`` of the frames after ``first``; beyond the end the last frame."""
        rows = np.minimum(first + 1 + np.arange(horizon), self.frames - 1)
        return jax.tree.map(lambda x: x[..., None, rows], (self.features, self.known))

    def targets(self, first: int, horizon: int) -> np.ndarray:
        """Feed-forward targets ``(H, nu)`` of the steps from ``first`` on."""
        return self.ctrl[np.minimum(first + np.arange(horizon), self.frames - 1)]


def make_reference(motion: Motion, simulator: Simulator, surface: Surface | None = None) -> Reference:
    """The reference of a motion that is at the control rate and in the body's coordinates.

    Feed-forward control supposes that ``surface`` carries the body, by default the level floor.
    """
    library = make_library([motion], 1.0 / simulator.dt, surface=surface)
    qpos, qvel = (np.asarray(x, np.float64) for x in (library.qpos, library.qvel))
    features = jax.device_get(_features(simulator, library.qpos, library.qvel))
    return Reference(motion, qpos, qvel, _feed_forward(library, simulator), features)


def make_targets(motion: Motion, simulator: Simulator, surface: Surface | None = None) -> np.ndarray:
    """Feed-forward targets ``(T, nu)`` alone, as in ``make_reference``."""
    return _feed_forward(make_library([motion], 1.0 / simulator.dt, surface=surface), simulator)


def remarks(reference: Reference, actuated: Actuated) -> tuple[str, ...]:
    """What no body can do in a reference, as the simulated body's own contact shapes have it; one sentence each.

    Such motion is planned all the same: the plan shows what a body can do near it.
    """
    model, body = actuated.model, actuated.address
    data, floor = mujoco.MjData(model), model.geom("floor").id
    pairs = np.stack([model.pair_geom1, model.pair_geom2], 1)
    on_floor = pairs[np.any(pairs == floor, axis=1)]
    touching = on_floor[on_floor != floor]
    deepest = {True: (0.0, 0), False: (0.0, 0)}  # by whether it is the floor: m, frame
    height = np.zeros(reference.frames)
    for frame, qpos in enumerate(reference.qpos):
        data.qpos[body.qpos] = qpos
        mujoco.mj_fwdPosition(model, data)
        for contact in data.contact:
            which = floor in contact.geom
            deepest[which] = max(deepest[which], (-float(contact.dist), frame))
        height[frame] = np.min(data.geom_xpos[touching, 2] - model.geom_rbound[touching])
    said, rate = [], reference.motion.fps
    for which, what in ((True, "the floor"), (False, "itself")):
        depth, frame = deepest[which]
        if depth > OVERLAP:
            said.append(f"the motion overlaps {what} by up to {100 * depth:.0f} cm (at {frame / rate:.2f} s)")
    first, stop = longest_run(height > CLEAR)
    if stop - first > FLIGHT * rate:
        said.append(
            f"nothing touches the floor from {first / rate:.2f} to {stop / rate:.2f} s, longer than a jump: what "
            "holds the body up there is not simulated"
        )
    return tuple(said)


def _feed_forward(library: ClipLibrary, simulator: Simulator) -> np.ndarray:
    """The targets of the tracking task's feed-forward control, at most ``MOST_FEED_FORWARD`` from the pose."""
    frames = jnp.arange(int(library.length[0]), dtype=jnp.int32)
    pose = simulator.joint_pos(library.qpos)
    wanted = feed_forward(library, simulator, jnp.zeros_like(frames), frames)
    step = jnp.clip(wanted - pose, -MOST_FEED_FORWARD, MOST_FEED_FORWARD)
    return np.asarray(pose + step, np.float64)


@functools.partial(jax.jit, static_argnums=0)
def _features(simulator: Simulator, qpos: jax.Array, qvel: jax.Array) -> terms.Features:
    return terms.features(simulator.actuated.humanoid, qpos, qvel)
