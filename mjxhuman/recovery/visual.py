"""What a video tells of one person, in one world: features, root orientation, rays and the whole-clip fit.

    track = visual_track(keypoints, camera)                                         # of a video
    track = visual_track(synthetic.detect(motion, camera), camera, ground="none")   # of recorded motion

Simulated detections of recorded motion go the same way, so that what learns from it sees the front end's own errors.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float

from mjxhuman.data.keypoints import relative_confidence
from mjxhuman.encoders.lifter import Lifter, load_lifter
from mjxhuman.encoders.lifting import Rays, lift
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import rotation
from mjxhuman.recovery.recover import Recovery, recover_with_report
from mjxhuman.retarget.chain import UPRIGHT
from mjxhuman.types import Array, Camera, Keypoints, Motion, Provenance


@struct.dataclass
class VisualTrack:
    """One person of a video, T frames; the world is z up, the floor at 0 where the fit was grounded."""

    features: Float[Array, "*b T F"]  # of the lifter, or of another network; zeros where nothing was seen
    root_quat: Float[Array, "*b T 4"]  # wxyz, pelvis in PHC's upright frame (the identity faces +x), as the lifter says
    rays: Rays  # of 12 joints; confidences are relative to the source's usual. Of several cameras those of the first
    estimate: Float[Array, "*b T nq"]  # qpos of the whole-clip fit
    known: Bool[Array, "*b T 24"]  # SMPL joints that were seen, or nearly
    valid: Bool[Array, "*b T"]  # frames of the fit that hold
    fps: float = struct.field(pytree_node=False)
    feature_name: str = struct.field(pytree_node=False)  # which features of which network
    humanoid: str = struct.field(pytree_node=False)  # of the estimate
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())
    others: tuple[Rays, ...] = ()  # of further cameras


def visual_track(
    keypoints: Keypoints,
    camera: Camera | None = None,
    humanoid: Humanoid | None = None,
    *,
    lifter: Lifter | None = None,
    ground: str = "stance",
) -> VisualTrack:
    """The record of a person seen by one camera, or by several together.

    Args:
      keypoints: ``uv (T, K, 2)``, of several cameras ``(V, T, K, 2)``. camera: T frames or one, its world z up; None:
        gravity is found by the fit.
      humanoid: of the estimate; None: the built-in one of the stature that the fit finds.
      lifter: None for the shipped one that looks both ways.
      ground: as of ``recover_motion``; "none" leaves the camera's world as it is.

    Raises:
      ValueError: as ``recover_with_report`` and the lifter.
    """
    motion, report = recover_with_report(keypoints, camera, humanoid, ground=ground)
    return track_of(keypoints, motion, report, lifter)


def track_of(keypoints: Keypoints, motion: Motion, report: Recovery, lifter: Lifter | None = None) -> VisualTrack:
    """The same of a fit to keypoints that is there."""
    lifter = lifter or load_lifter()
    views = report.camera.intrinsics.shape[0]
    uv, sure = (np.reshape(x, (views, *np.shape(x)[-n:])) for x, n in ((keypoints.uv, 3), (keypoints.confidence, 2)))
    found = [
        jax.tree.map(lambda x, v=v: np.asarray(x)[v], report.camera) for v in range(views)
    ]  # in the motion's world
    seen = [dataclasses.replace(keypoints, uv=uv[v], confidence=sure[v]) for v in range(views)]
    features, lifted = lifter(seen[0], found[0])
    rays = [
        lift(dataclasses.replace(one, confidence=relative_confidence(np.asarray(one.confidence, np.float64))), camera)
        for one, camera in zip(seen, found, strict=True)
    ]
    upright = jnp.broadcast_to(rotation.conjugate(jnp.asarray(UPRIGHT)), lifted.root_quat.shape)
    return VisualTrack(
        features.values, rotation.multiply(lifted.root_quat, upright), rays[0], motion.qpos, report.known, motion.valid,
        float(keypoints.fps), lifter.name, motion.humanoid.name, motion.provenance, tuple(rays[1:]),
    )  # fmt: skip


def at_rate(track: VisualTrack, qpos: Float[Array, "N nq"], fps: float) -> VisualTrack:
    """A track at another frame rate: of each frame what was told in the nearest one, and an estimate at that rate."""
    time = np.arange(len(qpos)) / fps
    rows = np.minimum(np.rint(time * track.fps).astype(int), np.shape(track.estimate)[0] - 1)
    told = {name: np.asarray(getattr(track, name))[rows] for name in ("features", "root_quat", "known", "valid")}
    rays, others = jax.tree.map(lambda x: np.asarray(x)[rows], (track.rays, track.others))
    return dataclasses.replace(track, **told, rays=rays, others=others, estimate=np.asarray(qpos), fps=fps)
