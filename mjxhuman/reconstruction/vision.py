"""A policy that sees the video moves the body: ``--method policy``."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from mjxhuman.envs.clips import make_library
from mjxhuman.envs.vision import VisionConfig, make_vision, make_visual_library
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import resample
from mjxhuman.physics.simulate import Simulator
from mjxhuman.planning.search import Snapshot
from mjxhuman.reconstruction.estimate import Estimate
from mjxhuman.reconstruction.methods import Moved
from mjxhuman.recovery.visual import VisualTrack, at_rate, track_of
from mjxhuman.tracking.controls import play_in
from mjxhuman.tracking.vision import check_features, load_vision
from mjxhuman.types import Motion


class PolicyMethod:
    """A trained policy, by default the shipped one, in closed loop with one camera's video: rays, depth, and the fit
    around which it acts."""

    name = "policy"

    def __init__(self, policy: str | None = None) -> None:
        self._tracker = load_vision(policy, "c")
        self._told: tuple[int, VisualTrack] | None = None

    @property
    def humanoid(self) -> Humanoid:
        """See ``Method``."""
        return self._tracker.humanoid

    def simulator(self, humanoid: Humanoid) -> Simulator:
        """See ``Method``."""
        return self._tracker.simulator

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """See ``Method``.

        Raises:
            ValueError: no keypoints; features of another network than the policy's.
        """
        return self.watch(self._track(estimate), estimate.motion, start)

    def watch(self, track: VisualTrack, motion: Motion, start: Snapshot) -> Moved:
        """Follow a video from a state. ``track``: what it tells of the frames of ``motion``, its estimate."""
        config = self._tracker.config
        assert isinstance(config, VisionConfig)
        library = make_library([motion], self._tracker.fps)
        visual = make_visual_library(library, self._tracker.simulator, [[track]], carry=False)
        env = make_vision(library, self._tracker.simulator, config, visual)
        return Moved(*play_in(env, self._tracker.policy, start.qpos, start.qvel, start.warmstart))

    def _track(self, estimate: Estimate) -> VisualTrack:
        """What the video tells in the estimate's frames."""
        keypoints, fit, recovery = estimate.keypoints, estimate.fit, estimate.recovery
        if keypoints is None or fit is None or recovery is None:
            raise ValueError("policy: expected the keypoints of a video, found bodies alone")
        if self._told is None or self._told[0] != id(fit):
            whole = track_of(keypoints, fit, recovery)
            check_features(self._tracker, whole.feature_name)
            fps = self._tracker.fps
            qpos = np.asarray(fit.qpos if abs(fit.fps - fps) < 1e-3 else resample(fit, fps).qpos)
            self._told = id(fit), at_rate(whole, qpos, fps)
        frames = slice(estimate.first, estimate.first + estimate.motion.num_frames)
        return cut_track(self._told[1], frames, np.asarray(estimate.motion.qpos))


def cut_track(track: VisualTrack, frames: slice, qpos: np.ndarray) -> VisualTrack:
    """Some frames of a track, with their estimate (n, nq)."""
    told = {name: np.asarray(getattr(track, name))[frames] for name in ("features", "root_quat", "known", "valid")}
    rays, others = jax.tree.map(lambda x: np.asarray(x)[frames], (track.rays, track.others))
    return dataclasses.replace(track, **told, rays=rays, others=others, estimate=qpos)
