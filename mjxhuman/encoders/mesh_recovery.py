"""From what mesh recovery networks say to ``BodyMotion`` in a z-up world; GVHMR in its own environment.

A network looks at a crop as if a camera with its own axis through the crop's middle saw it. ``full_camera`` puts the
body before the whole picture's camera (Kissos et al. 2020, "Beyond weak perspective"; as HMR2 and CLIFF do), and the
camera's pose puts it into the world.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.cameras import level_camera
from mjxhuman.data.gvhmr import read_torch
from mjxhuman.data.smpl import SMPL_PELVIS
from mjxhuman.data.source import Source
from mjxhuman.encoders.base import AnyVideo, Encoding, Person, to_file_pixels
from mjxhuman.encoders.people.following import follow
from mjxhuman.encoders.top_down import Crops
from mjxhuman.encoders.torch_bridge import torch_module
from mjxhuman.options import FileOptions
from mjxhuman.types import BodyMotion, Camera, Provenance, VideoFeatures

_GVHMR_NOTE = "GVHMR takes its most prominent person, and a camera that stands still"


def full_camera(
    weak: np.ndarray, centre: np.ndarray, size: np.ndarray, focal: float, principal: np.ndarray
) -> np.ndarray:
    """Position of the body before the picture's camera.

    Args:
      weak: ``(N, 3)`` scale, offset x and y of the weak-perspective camera of the crop, whose sides are at -1 and 1.
      centre: ``(N, 2)`` px, of the crops. size: ``(N,)`` px, side of the square crops.
      focal: px. principal: ``(2,)`` px.

    Returns:
      ``(N, 3)`` m in camera axes.
    """
    width = weak[:, 0] * size
    place = weak[:, 1:] + 2.0 * (centre - principal) / np.maximum(width, 1e-9)[:, None]
    return np.concatenate([place, 2.0 * focal / np.maximum(width, 1e-9)[:, None]], -1)


def body_encoding(
    video: AnyVideo,
    encoder: str,
    times: Sequence[float],
    found: Sequence[dict[str, np.ndarray]],
    crops: Crops,
    camera: Camera | None,
) -> Encoding:
    """Everyone's body motion from per-picture ``rotations``, ``betas``, ``camera`` and optionally ``features``.

    SMPL's translation moves the template, whose pelvis is not at its origin (``mjxhuman.data.smpl``). The camera stands
    still or has a pose per frame.
    """
    line = video.timeline(times)
    camera = level_camera(video.size) if camera is None else camera
    people = []
    for track in follow(times, [_corners(row["box"]) for row in found]):
        seen = track >= 0
        rows = [row for row, k in zip(found, track) if k >= 0]
        picked = [int(k) for k in track if k >= 0]
        take = {name: np.stack([row[name][k] for row, k in zip(rows, picked)]) for name in rows[0]}
        positions = np.flatnonzero(seen)
        place = _spread(positions, len(track), _before_camera(video, take, crops, camera))
        turns = _spread(positions, len(track), take["rotations"])
        box, _ = line.place(_spread(positions, len(track), take["box"]), seen)
        nearest, known = line.nearest(), line.place(seen.astype(float), seen)[1]
        body = _body(place[nearest], turns[nearest], take["betas"].mean(0), known, line.fps, camera, video, encoder)
        features = None
        if "features" in take:
            values, valid = line.place(_spread(positions, len(track), take["features"]), seen)
            features = VideoFeatures(values.astype(np.float32), valid, line.fps, f"{encoder} features", body.provenance)
        box = to_file_pixels(video, box.reshape(-1, 2, 2)).reshape(-1, 4) * known[:, None]
        people.append(Person(box.astype(np.float32), known, None, features, body))
    people.sort(key=lambda p: -float((p.box[:, 3] - p.box[:, 1]).sum()))
    return Encoding(tuple(people), line.fps, line.length, video.size, encoder, line.position, tuple(video.notes))


def _corners(box: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) as people of two points."""
    return np.concatenate([box.reshape(-1, 2, 2), np.ones((len(box), 2, 1))], -1)


def _spread(positions: np.ndarray, length: int, values: np.ndarray) -> np.ndarray:
    out = np.zeros((length, *values.shape[1:]))
    out[positions] = values
    return out


def _before_camera(video: AnyVideo, take: dict[str, np.ndarray], crops: Crops, camera: Camera) -> np.ndarray:
    frame = crops.frames(take["box"])
    centre = to_file_pixels(video, frame[:, :2])
    size = frame[:, 2:].max(1) * video.scale[0]
    K = np.asarray(camera.intrinsics)[0]
    return full_camera(take["camera"], centre, size, float(K[0, 0]), K[:2, 2])


def _body(
    place: np.ndarray,
    turns: np.ndarray,
    betas: np.ndarray,
    valid: np.ndarray,
    fps: float,
    camera: Camera,
    video: AnyVideo,
    encoder: str,
) -> BodyMotion:
    pose = np.broadcast_to(np.asarray(camera.T_world_camera, float), (len(place), 4, 4))
    turns = np.where(valid[:, None, None, None], turns, np.eye(3))
    turns[:, 0] = pose[:, :3, :3] @ turns[:, 0]
    place = place + np.asarray(SMPL_PELVIS)
    quaternions = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(len(place), 24, 4)
    conventions = (*camera.provenance.conventions, "betas averaged over the clip")
    return BodyMotion(
        betas=betas,
        transl=np.einsum("tij,tj->ti", pose[:, :3, :3], place) + pose[:, :3, 3],
        global_orient=quaternions[:, 0],
        body_pose=quaternions[:, 1:],
        valid=valid,
        fps=fps,
        provenance=Provenance(path=str(video.path), format=encoder, conventions=conventions),
    )


class GVHMR:
    """The encoder ``gvhmr``: runs the demo of a GVHMR checkout and reads its result.

    Shen et al. 2024, "World-Grounded Human Motion Recovery via Gravity-View Coordinates". Body motion in a
    gravity-aligned world, and the 512 numbers per frame that its transformer ends in (PhysHMR's visual feature). They
    come from the whole clip: frames to come are part of them.

    Args:
      weights: folder of the checkout (github.com/zju3dv/GVHMR) with its checkpoints in place.
      python: interpreter of GVHMR's environment; by default ``$MJXHUMAN_GVHMR_PYTHON``, else the checkout's
        ``.venv/bin/python``.

    Raises:
      ValueError: no checkout given. FileNotFoundError: no demo in it, or no interpreter.
    """

    name = "gvhmr"
    takes_device_arrays = False

    def __init__(self, weights: str | os.PathLike[str] | None = None, *, python: str | None = None) -> None:
        if weights is None:
            raise ValueError("gvhmr: expected the folder of a GVHMR checkout (--weights); see third_party/README.md")
        self._folder = Path(weights).resolve()
        if not (self._folder / "tools/demo/demo.py").is_file():
            raise FileNotFoundError(f"{weights}: expected a checkout of GVHMR, found no tools/demo/demo.py in it")
        named = python or os.environ.get("MJXHUMAN_GVHMR_PYTHON") or str(self._folder / ".venv/bin/python")
        self._python = Path(named)
        if not self._python.exists():
            raise FileNotFoundError(f"{named}: no interpreter of GVHMR's environment; MJXHUMAN_GVHMR_PYTHON names it")

    def fingerprint(self) -> str:
        """Names, sizes and dates of the checkpoints, and of the network's code: hashing GBs each time would be slow."""
        files = [*self._folder.glob("inputs/checkpoints/**/*"), *self._folder.glob("hmr4d/**/*.py")]
        marks = [
            f"{f.relative_to(self._folder)} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files if f.is_file()
        ]
        return "gvhmr " + " ".join(sorted(marks))

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """The most prominent person; the camera is not used, GVHMR assumes its own.

        Raises:
          RuntimeError: the demo ends without a result; the message has its last words.
        """
        with tempfile.TemporaryDirectory(prefix="mjxhuman-gvhmr-") as folder:
            film, times = _written(video, Path(folder) / "clip.mp4")
            command = [str(self._python), "tools/demo/demo.py", f"--video={film}", f"--output_root={folder}/out", "-s"]
            done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
            results = sorted(Path(folder).glob("out/**/hmr4d_results.pt"))
            if not results:  # where it exists the demo may still have failed, to draw it
                last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
                raise RuntimeError(f"{video.path}: GVHMR gave no result: {last[0][:300]}")
            return _read_result(video, times, results[0])

    def close(self) -> None:
        """Nothing to free."""


def _written(video: AnyVideo, path: Path) -> tuple[Path, list[float]]:
    """The upright pictures as a film of 30 Hz, which GVHMR takes every film for, and their true times."""
    import av

    times = []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"crf": "12"})
        stream.pix_fmt = "yuv420p"
        for picture in video:
            high, wide = (n - n % 2 for n in picture.image.shape[:2])
            if not times:
                stream.width, stream.height = wide, high
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.image[:high, :wide].copy(), format="rgb24")))
            times.append(picture.time)
        container.mux(stream.encode())
    return path, times


def _read_result(video: AnyVideo, times: list[float], path: Path) -> Encoding:
    torch = torch_module("GVHMR's results")
    line = video.timeline(times)
    nearest, known = line.nearest(), line.place(np.ones(len(times)), np.ones(len(times), bool))[1]
    body = read_torch(Source(path, FileOptions(fps=line.fps)))
    assert isinstance(body, BodyMotion), "GVHMR's own result"
    if len(body.transl) != len(times):
        raise RuntimeError(f"{video.path}: GVHMR gave {len(body.transl)} frames, expected {len(times)}")
    provenance = Provenance(path=str(video.path), format="gvhmr", conventions=(_GVHMR_NOTE,))
    body = body.replace(  # type: ignore[attr-defined]
        transl=body.transl[nearest],
        global_orient=body.global_orient[nearest],
        body_pose=body.body_pose[nearest],
        valid=known,
        fps=line.fps,
        provenance=provenance,
    )
    content = torch.load(path, map_location="cpu", weights_only=True)
    context = content.get("net_outputs", {}).get("model_output", {}).get("pred_context")
    features = None
    if context is not None:
        values = context.reshape(-1, context.shape[-1]).float().numpy()[nearest]
        features = VideoFeatures(values * known[:, None], known, line.fps, "gvhmr pred_context", provenance)
    box = np.tile([0.0, 0.0, *video.size], (line.length, 1)).astype(np.float32)
    person = Person(box * known[:, None], known, None, features, body)
    return Encoding((person,), line.fps, line.length, video.size, "gvhmr", line.position, (*video.notes, _GVHMR_NOTE))
