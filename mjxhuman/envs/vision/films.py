"""Recorded motion as videos would tell of it: simulated cameras and detections, then the code that reads videos.

    tracks = film(motion, views(4, seed=0))            # a ``VisualTrack`` for each view, from the cache where they are

A view takes some seven seconds of processor time per 100 frames, nearly all for the whole-clip fit, so tracks are
kept in ``visual`` of the cache folder (``mjxhuman.runs.cache_root``) by what they are made of: motion, view, lifter
and body.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mjxhuman.encoders import synthetic, viewpoints
from mjxhuman.encoders.lifter import Lifter, load_lifter
from mjxhuman.encoders.lifting import Rays
from mjxhuman.recovery.visual import VisualTrack, visual_track
from mjxhuman.runs.compile_cache import cache_root
from mjxhuman.runs.files import atomic_write
from mjxhuman.types import Motion

#: Counted up whenever tracks of the same view come out otherwise.
_VERSION = 1
_ARRAYS = ("features", "root_quat", "estimate", "known", "valid")


@dataclasses.dataclass(frozen=True)
class Filming:
    """How a motion is filmed and what a detector makes of it."""

    seed: int
    camera: str = "standing"  # of ``viewpoints.KINDS``
    noise: str = "detector"  # of the presets of ``encoders.detection_noise``
    layout: str = "body_25b"  # of the detector
    ground: str = "stance"  # of the fit, as for videos: "stance" puts it on the floor and moves the camera along


def views(
    count: int, seed: int = 0, cameras: Sequence[str] = ("standing",), noises: Sequence[str] = ("detector",)
) -> tuple[Filming, ...]:
    """Different views, cameras and noises in turns."""
    return tuple(Filming(seed + k, cameras[k % len(cameras)], noises[k % len(noises)]) for k in range(count))


def film(
    motion: Motion, wanted: Sequence[Filming], lifter: Lifter | None = None, folder: Path | None = None
) -> list[VisualTrack]:
    """The tracks of a motion's views.

    Args:
        motion: of SMPL's body, at the control rate. lifter: None for the shipped one.
        folder: of the cache; None: ``visual`` in the cache folder, if there is one.

    Raises:
        ValueError: as ``synthetic.detect`` and ``visual_track``.
    """
    lifter = lifter or load_lifter()
    root = cache_root()
    folder = folder or (None if root is None else root / "visual")
    return [_track(motion, view, lifter, folder) for view in wanted]


def _track(motion: Motion, view: Filming, lifter: Lifter, folder: Path | None) -> VisualTrack:
    if folder is None:
        return _made(motion, view, lifter)
    file = folder / f"{_key(motion, view, lifter)}.npz"
    known = _read(file, motion)
    if known is None:
        known = _made(motion, view, lifter)
        _write(file, known)
    return known


def _made(motion: Motion, view: Filming, lifter: Lifter) -> VisualTrack:
    # every clip from a place of its own, the same in any company
    seed = int.from_bytes(hashlib.sha256(np.asarray(motion.qpos, np.float32).tobytes()).digest()[:4], "big")
    camera = viewpoints.film(motion, np.random.default_rng([view.seed, seed]), view.camera)
    keypoints = synthetic.detect(motion, camera, layout=view.layout, noise=view.noise, seed=(seed + view.seed) % 2**31)
    return visual_track(keypoints, camera, motion.humanoid, lifter=lifter, ground=view.ground)


def _key(motion: Motion, view: Filming, lifter: Lifter) -> str:
    digest = hashlib.sha256(np.asarray(motion.qpos, np.float32).tobytes())
    body = motion.humanoid
    facts = {"view": dataclasses.asdict(view), "fps": motion.fps, "body": body.name, "stature": body.stature}
    facts["lifter"] = lifter.name
    digest.update(json.dumps({**facts, "version": _VERSION}, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def _write(file: Path, track: VisualTrack) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(getattr(track, name)) for name in _ARRAYS}
    arrays["features"] = arrays["features"].astype(np.float16)
    arrays |= {f"ray_{name}": np.asarray(getattr(track.rays, name)) for name in ("origin", "point", "confidence")}
    facts = {"joints": track.rays.joints, "fps": track.fps, "feature_name": track.feature_name}
    with atomic_write(file, "wb") as out:
        np.savez_compressed(out, facts=np.array(json.dumps(facts)), **arrays)


def _read(file: Path, motion: Motion) -> VisualTrack | None:
    """None where there is no such file, or a broken one."""
    try:
        with np.load(file, allow_pickle=False) as known:
            arrays = {name: known[name] for name in known.files}
        facts = json.loads(str(arrays.pop("facts")))
        seen = {name: arrays.pop(f"ray_{name}") for name in ("origin", "point", "confidence")}
        rays = Rays(**seen, joints=tuple(facts["joints"]))
        found = VisualTrack(
            **arrays, rays=rays, fps=facts["fps"], feature_name=facts["feature_name"], humanoid=motion.humanoid.name,
            provenance=motion.provenance,
        )  # fmt: skip
    except (FileNotFoundError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return found
