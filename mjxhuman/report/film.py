"""The video of a clip in the report: small pictures, and where on them the encoder and the fitted body have the joints.

Pictures are JPEG inside the page: nothing is loaded from elsewhere, and each frame is there at once when it is sought.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mjxhuman.data.video import Video
from mjxhuman.recovery.load import Recovered

#: Pictures of a clip at most, longer clips keep every k-th; their longer side in px. 300 pictures take about 4 MB.
MAX_PICTURES, SIDE = 300, 480
#: JPEG's quantiser: 2 is best, 31 worst.
_QUANTISER = 6
#: Points of less confidence are not drawn.
_SURE = 0.3

_LIMBS = (
    ("Shoulder", "Elbow"), ("Elbow", "Wrist"), ("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Hip"),
    ("Ankle", "Heel"), ("Heel", "FootIndex"), ("Heel", "BigToe"), ("Ankle", "FootIndex"), ("Ankle", "BigToe"),
)  # fmt: skip
_ACROSS = (("LShoulder", "RShoulder"), ("LHip", "RHip"), ("Nose", "LEar"), ("Nose", "REar"))


@dataclasses.dataclass(frozen=True)
class Layer:
    """A skeleton on the pictures."""

    name: str
    points: np.ndarray  # (T, K, 2) px of the pictures; NaN where not drawn
    edges: tuple[tuple[int, int, str], ...]  # from, to, "left", "right" or ""


@dataclasses.dataclass(frozen=True)
class FilmStrip:
    """Pictures of a clip of T frames, every ``stride``-th, and skeletons on them."""

    pictures: tuple[bytes, ...]  # JPEG
    stride: int
    size: tuple[int, int]  # width and height of the pictures in px
    layers: tuple[Layer, ...]


def film_of(found: Recovered, at: np.ndarray | None = None, more: Sequence[Layer] = ()) -> FilmStrip:
    """The film of a recovered video.

    Args:
      found: in it everyone is on the encoding's frames.
      at: (T,) places of the film's frames among them, where it has a rate of its own.
      more: skeletons of those T frames, in the video's own pixels.

    Raises:
      FileNotFoundError, MotionFileError: the video cannot be read any more.
    """
    encoding, person, fit = found.encoding, found.person, found.recovery
    at = np.arange(encoding.frames) if at is None else at
    rows = np.minimum(np.rint(at).astype(int), encoding.frames - 1)
    stride = max(1, -(-len(at) // MAX_PICTURES))
    video = Video(found.path, max_side=SIDE)
    nearest = pictures_at(found, at[::stride])
    wanted, made = set(nearest.tolist()), {}
    for number, picture in enumerate(video):
        if number in wanted:
            made[number] = encode_jpeg(picture.image)
    pictures = tuple(made[n] for n in nearest.tolist() if n in made)
    scale = np.asarray(video.scale)
    layers = []
    if person.keypoints is not None:
        uv, confidence = np.asarray(person.keypoints.uv, float), np.asarray(person.keypoints.confidence)
        uv = np.where(confidence[..., None] >= _SURE, (uv + 0.5) / scale - 0.5, np.nan)
        layers.append(Layer(f"seen by {encoding.encoder}", uv[rows], skeleton_edges(person.keypoints.names)))
    if fit is not None:
        uv = np.where(np.asarray(found.motion.valid)[:, None, None], (fit.uv[0] + 0.5) / scale - 0.5, np.nan)
        layers.append(Layer("fitted body", uv[rows], skeleton_edges(fit.names)))
    layers += [dataclasses.replace(layer, points=(layer.points + 0.5) / scale - 0.5) for layer in more]
    width, height = (round(full / s) for full, s in zip(video.size, video.scale))
    return FilmStrip(pictures, stride, (width, height), tuple(layers))


def pictures_at(found: Recovered, at: np.ndarray) -> np.ndarray:
    """Numbers (T,) of the decoded pictures nearest to places (T,) among the encoding's frames."""
    position = found.encoding.position
    return np.rint(np.interp(at, position, np.arange(len(position)))).astype(int)


def skeleton_edges(names: tuple[str, ...]) -> tuple[tuple[int, int, str], ...]:
    """Lines between keypoints of canonical names: indices of both ends and the side."""
    index = {name: k for k, name in enumerate(names)}
    lines = [(side + a, side + b, word) for side, word in (("L", "left"), ("R", "right")) for a, b in _LIMBS]
    lines += [(a, b, "") for a, b in _ACROSS]
    return tuple((index[a], index[b], side) for a, b, side in lines if a in index and b in index)


def encode_jpeg(image: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as JPEG.

    Raises:
      ImportError: PyAV is not installed.
    """
    import av

    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = image.shape[1], image.shape[0], "yuvj420p"
    codec.time_base = Fraction(1, 25)
    codec.qmin = codec.qmax = _QUANTISER
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    data = io.BytesIO()
    for packet in [*codec.encode(frame), *codec.encode(None)]:
        data.write(bytes(packet))
    return data.getvalue()
