"""What videos say of the clips of a library, row by row, on the device.

A view is one video of a clip: features, rays of keypoints, root orientation, and the whole-clip fit as an *estimate* in
the same coordinates as the clip, with the table of what the task knows of every frame. Per hour of motion at 30 Hz and
view that is 410 MB (512 features in half precision 110, the estimate 280, rays 20) beside the clip's own.

A camera hardly tells how far away a person is: a fit is off by 2-4 % of the distance along the view, for seconds. What
nobody can see nobody is asked for, so the true motion of a view is *carried* to where the fit has it, by what the two
differ in on the floor, smoothed over a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

from mjxhuman.envs.clips import ClipLibrary
from mjxhuman.envs.imitation.reference import Table, make_table
from mjxhuman.math import rotation
from mjxhuman.physics.analysis import servo_torques
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.simulate import Simulator
from mjxhuman.recovery.visual import VisualTrack
from mjxhuman.types import Array

#: s over which the place to which true motions are carried is smoothed.
_CARRY_SECONDS = 1.0
#: Frames per second by which a track may differ from the clips.
_RATE = 1e-3


@struct.dataclass
class VisualFrame:
    """What a video tells of one frame, (*b, ...), world axes; J joints, C cameras that film it together."""

    features: Float[Array, "*b F"]
    root_quat: Float[Array, "*b 4"]  # wxyz, PHC's upright frame
    origin: Float[Array, "*b C 3"]  # m, where the cameras are
    direction: Float[Array, "*b C J 3"]  # of the rays, unit
    confidence: Float[Array, "*b C J"]  # 0..1

    def turned(self, angle: Float[Array, "*b"]) -> VisualFrame:
        """Turned about the vertical through the origin by angles in rad."""
        turn = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), angle)
        return dataclasses.replace(
            self,
            root_quat=rotation.multiply(turn, self.root_quat),
            origin=rotation.rotate(turn[..., None, :], self.origin),
            direction=rotation.rotate(turn[..., None, None, :], self.direction),
        )


@struct.dataclass
class VisualLibrary:
    """V views of every clip of a ``ClipLibrary``, F frames: rows are those of its frames."""

    sight: VisualFrame  # (V, F, ...)
    qpos: Float[Array, "V F nq"]  # of the estimate
    qvel: Float[Array, "V F nv"]
    table: Table  # of the estimate, (V, F, ...)
    carried: Float[Array, "V F 3"]  # m, horizontal, by which the true motion is moved to where the video has it
    joints: tuple[str, ...] = struct.field(pytree_node=False)  # of the rays
    feature_name: str = struct.field(pytree_node=False)  # which features of which network

    @property
    def views(self) -> int:
        """V."""
        return self.qpos.shape[0]

    def at(self, view: Int[Array, "*b"], row: Int[Array, "*b"]) -> VisualFrame:
        """What is told of rows."""
        found = jax.tree.map(lambda x: x[view, row], self.sight)
        return dataclasses.replace(found, features=found.features.astype(jnp.float32))

    def rows(self, rows: Int[np.ndarray, " N"]) -> VisualLibrary:
        """Those rows of every view."""
        return self._each(lambda x: x[:, rows])

    def only(self, view: int) -> VisualLibrary:
        """A single view."""
        return self._each(lambda x: x[view : view + 1])

    def _each(self, change: Callable[[Array], Array]) -> VisualLibrary:
        arrays = ("sight", "qpos", "qvel", "table", "carried")
        return dataclasses.replace(self, **{name: jax.tree.map(change, getattr(self, name)) for name in arrays})


def make_visual_library(
    library: ClipLibrary, simulator: Simulator, tracks: Sequence[Sequence[VisualTrack]], carry: bool = True
) -> VisualLibrary:
    """Put the views of all clips on the device.

    Args:
        tracks: of each clip its V views, at the library's frame rate and frame by frame.
        carry: whether the true motions are moved to where the videos have them.

    Raises:
        ValueError: another number of clips, views, frames or frames per second; features of different networks; an
            estimate of another body.
    """
    _check(library, simulator, tracks)
    views = [_view(library, simulator, [clip[v] for clip in tracks]) for v in range(len(tracks[0]))]
    sight, qpos, qvel, table = jax.tree.map(lambda *x: jnp.stack(x), *views)
    first, off = tracks[0][0], np.asarray(qpos)[..., :3] - np.asarray(library.qpos)[:, :3]
    carried = _smooth(off, library) * [1.0, 1.0, 0.0] if carry else np.zeros_like(off)
    carried = jnp.asarray(carried, jnp.float32)
    return VisualLibrary(sight, qpos, qvel, table, carried, first.rays.joints, first.feature_name)


def _smooth(off: np.ndarray, library: ClipLibrary) -> np.ndarray:
    """Offsets (V, F, 3) smoothed within each clip."""
    sigma, found = _CARRY_SECONDS / 2 * library.fps, np.empty_like(off)
    for start, length in zip(np.asarray(library.start), np.asarray(library.length), strict=True):
        clip = slice(start, start + length)
        found[:, clip] = gaussian_filter1d(off[:, clip], sigma, axis=1, mode="nearest")
    return found


def _check(library: ClipLibrary, simulator: Simulator, tracks: Sequence[Sequence[VisualTrack]]) -> None:
    if len(tracks) != library.num_clips or not tracks or not tracks[0]:
        raise ValueError(f"tracks: expected views of {library.num_clips} clips, found those of {len(tracks)}")
    first, body = tracks[0][0], simulator.actuated.humanoid
    for name, length, clip in zip(library.names, np.asarray(library.length), tracks, strict=True):
        if len(clip) != len(tracks[0]):
            raise ValueError(f"{name}: expected {len(tracks[0])} views as of the first clip, found {len(clip)}")
        for track in clip:
            found = np.shape(track.estimate)
            if found != (length, body.model.nq) or abs(track.fps - library.fps) > _RATE:
                raise ValueError(
                    f"{name}: expected an estimate of {length} frames of {body.model.nq} coordinates at "
                    f"{library.fps:g} Hz, found {found} at {track.fps:g} Hz"
                )
            if len(track.others) != len(first.others):
                raise ValueError(
                    f"{name}: expected {1 + len(first.others)} cameras as of the first clip, found "
                    f"{1 + len(track.others)}"
                )
            if (track.feature_name, track.rays.joints) != (first.feature_name, first.rays.joints):
                raise ValueError(
                    f"{name}: expected features {first.feature_name!r} and rays of {len(first.rays.joints)} joints, "
                    f"found {track.feature_name!r} and {len(track.rays.joints)}"
                )


def _view(
    library: ClipLibrary, simulator: Simulator, tracks: Sequence[VisualTrack]
) -> tuple[VisualFrame, Array, Array, Table]:
    """One view of every clip."""
    body = simulator.actuated.humanoid
    motions = [motion_from_qpos(body, np.asarray(track.estimate), library.fps) for track in tracks]
    qpos, qvel = (np.concatenate([np.asarray(getattr(m, k), np.float32) for m in motions]) for k in ("qpos", "qvel"))
    torque = np.concatenate([np.asarray(servo_torques(motion), np.float32) for motion in motions])
    estimate = dataclasses.replace(
        library, qpos=jnp.asarray(qpos), qvel=jnp.asarray(qvel), torque=jnp.asarray(torque), control=None
    )
    sights = [_sight(track) for track in tracks]
    sight = jax.tree.map(lambda *x: jnp.concatenate(x), *sights)
    return sight, estimate.qpos, estimate.qvel, make_table(estimate, simulator)


def _sight(track: VisualTrack) -> VisualFrame:
    cameras = (track.rays, *track.others)
    origin, point, sure = (
        np.stack([np.asarray(getattr(rays, name), np.float32) for rays in cameras], 1)
        for name in ("origin", "point", "confidence")
    )
    ahead = point - origin[:, :, None]
    ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)
    return VisualFrame(
        jnp.asarray(np.asarray(track.features), jnp.float16), jnp.asarray(np.asarray(track.root_quat), jnp.float32),
        jnp.asarray(origin), jnp.asarray(ahead), jnp.asarray(sure),
    )  # fmt: skip
