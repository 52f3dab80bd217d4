"""Short films of a moving square, written with PyAV, and ways to spoil them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

#: One tick of the times that ``write_film`` takes.
TICK = Fraction(1, 60000)


def picture(k: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """Frame k: a gradient with a bright square that moves right; (height, width, 3) uint8."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 200, width)[None]
    image[..., 1] = np.linspace(0, 200, height)[:, None]
    image[..., 2] = 40
    x = 4 + 2 * k % (width - 24)
    image[8:24, x : x + 16] = 255
    return image


def square_place(image: np.ndarray) -> float:
    """Column of the square's left edge in an upright picture of ``picture``'s size."""
    return float(np.argmax((image[8:24, :, 2] > 150).mean(0) > 0.5))


def write_film(
    path: Path,
    times: Iterable[float],
    *,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    keyframes: int = 5,
    pictures: Iterable[np.ndarray] | None = None,
) -> Path:
    """A film with one frame at each time in s."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = TICK
        stream.time_base = TICK
        stream.codec_context.gop_size = keyframes
        images = (picture(k, size) for k in range(10**9)) if pictures is None else pictures
        for time, image in zip(times, images, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_metadata(path: Path, degrees: int) -> Path:
    """Write a clockwise turn by 90, 180 or 270 degrees into the matrix of an MP4's video track, as phones do."""
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags, times and id, reserved, layer to volume
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def spoil(path: Path, start: float, length: float) -> Path:
    """Overwrite a part of the compressed pictures of an MP4 with zeros; both in shares of them."""
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat")
    size = struct.unpack(">I", data[at - 4 : at])[0] - 8
    first = at + 4 + round(start * size)
    last = first + round(length * size)
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path
