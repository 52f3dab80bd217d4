"""Runs MediaPipe's pose models in an environment of their own: pictures in on stdin, landmarks out on stdout.

Started by ``mjxhuman.encoders.blazepose`` as a script, with a Python that has mediapipe; imports nothing of mjxhuman.
Messages, little-endian:

    in   b"P", uint32 height, uint32 width, height * width * 3 bytes RGB      a picture
         b"R"                                                                 a new clip: forget the people
    out  at the start one line, "ready" and mediapipe's version
         for each picture uint32 n, then n * 33 * 6 float32: x, y in px of the picture (0, 0 the first pixel's centre),
         visibility 0..1, and X, Y, Z in m from the middle of the hips, axes right, down, away from the camera;
         then n * 15 float32: R, G, B 0..1 of head, chest, belly, thighs and shins, NaN outside the picture

Tracking is MediaPipe's: a person's next region comes from the landmarks of the frame before; people are looked for
where nobody is followed, and every ``SEARCH`` frames, after someone was lost every ``SEARCH_LOST``. Landmarks are not
smoothed over time. MediaPipe's detector sees the picture at 224 px and misses people shorter than a third of its longer
side: it also looks at overlapping squares of the picture's shorter side, and of half of it while nobody is found.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

#: Frames between two searches for more people.
SEARCH, SEARCH_FINE = 15, 60
#: The same within ``LOST`` frames after someone was lost: hidden people come back.
SEARCH_LOST, LOST = 5, 60
#: Nobody is taken who is shorter than so much of the tallest: passers-by and wrong detections far behind.
LEAST_SIZE = 0.25
#: Two sets of landmarks whose mean distance is under this share of their height are one person.
SAME = 0.15

_FIND = """
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_PLACE = """
input_stream: "image"
input_stream: "detection"
output_stream: "roi"
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image" output_stream: "SIZE:size" }
node { calculator: "PoseDetectionToRoi" input_stream: "DETECTION:detection" input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:roi" }
"""
_MEASURE = """
input_stream: "image"
input_stream: "roi"
output_stream: "landmarks"
output_stream: "world"
output_stream: "next"
input_side_packet: "model"
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image" output_stream: "SIZE:size" }
node { calculator: "PoseLandmarkByRoiCpu" input_side_packet: "MODEL_COMPLEXITY:model"
  input_stream: "IMAGE:image" input_stream: "ROI:roi"
  output_stream: "LANDMARKS:landmarks" output_stream: "AUXILIARY_LANDMARKS:auxiliary"
  output_stream: "WORLD_LANDMARKS:world" }
node { calculator: "PoseLandmarksToRoi" input_stream: "LANDMARKS:auxiliary" input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:next" }
"""


class Graph:
    """A MediaPipe graph that is fed one frame at a time."""

    def __init__(self, text: str, outputs: tuple[str, ...], constants: dict[str, Any] | None = None) -> None:
        from google.protobuf import text_format
        from mediapipe.framework import calculator_pb2
        from mediapipe.python._framework_bindings.calculator_graph import CalculatorGraph

        config = text_format.Parse(text, calculator_pb2.CalculatorGraphConfig())
        self._graph = CalculatorGraph(graph_config=config)
        self._found: dict[str, Any] = {}
        for name in outputs:
            self._graph.observe_output_stream(name, lambda stream, packet: self._found.__setitem__(stream, packet))
        self._graph.start_run(constants or {})
        self._time = 0

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Output packets by name; what the graph did not send is missing."""
        self._found.clear()
        self._time += 1
        for name, packet in inputs.items():
            self._graph.add_packet_to_input_stream(stream=name, packet=packet.at(self._time))
        self._graph.wait_until_idle()
        return dict(self._found)


class People:
    """Everyone in a clip, frame by frame."""

    def __init__(self, limit: int, complexity: int) -> None:
        from mediapipe.python import packet_creator

        self._limit = limit
        self._find = Graph(_FIND, ("detections",))
        self._place = Graph(_PLACE, ("roi",))
        self._measure = Graph(
            _MEASURE, ("landmarks", "world", "next"), {"model": packet_creator.create_int(complexity)}
        )
        self.forget()

    def forget(self) -> None:
        """A new clip starts."""
        self._regions: list[Any] = []
        self._count = 0
        self._lost = -LOST  # frame in which someone was lost
        self._tallest = 0.0  # px, of the people followed

    def step(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (n, 33, 6) and colours (n, 15) in the next picture (H, W, 3) uint8; the longest followed first."""
        from mediapipe.python import packet_creator, packet_getter

        packet = packet_creator.create_image_frame(image_format=_srgb(), data=image)
        regions = [packet_creator.create_proto(region) for region in self._regions]
        due = self._count % (SEARCH_LOST if self._count < self._lost + LOST else SEARCH) == 0
        if not regions or (due and len(regions) < self._limit):
            regions += self._search(image, packet, due)
        people: list[np.ndarray] = []
        followed, self._regions = len(self._regions), []
        for region in regions:
            if len(people) == self._limit:
                break
            out = self._measure(image=packet, roi=region)
            if not {"landmarks", "world", "next"} <= out.keys():
                continue
            landmarks = packet_getter.get_proto(out["landmarks"]).landmark
            world = packet_getter.get_proto(out["world"]).landmark
            person = _numbers(landmarks, world, image.shape)
            if not any(_same(person, other) for other in people):
                people.append(person)
                self._regions.append(packet_getter.get_proto(out["next"]))
        self._tallest = max((float(np.ptp(person[:, 1])) for person in people), default=0.0)
        if len(people) < followed:
            self._lost = self._count
        self._count += 1
        looks = [_look(person, image) for person in people]
        return np.asarray(people, "<f4").reshape(-1, 33, 6), np.asarray(looks, "<f4").reshape(-1, 15)

    def _search(self, image: np.ndarray, packet: Any, closely: bool) -> list[Any]:
        """Regions of people, the largest first; ``closely`` looks at squares of the picture too."""
        from mediapipe.python import packet_creator

        found = self._detections(packet)
        short = min(image.shape[:2])
        for side in (short, short // 2) if closely else ():
            if side == short or not found or self._count % SEARCH_FINE == 0:
                found += [d for corner in _corners(image.shape[:2], side) for d in self._within(image, *corner, side)]
        kept: list[Any] = []
        for detection in sorted(found, key=lambda detection: -detection.score[0]):
            if not any(_overlap(detection, other, image.shape) for other in kept):
                kept.append(detection)
        radius = {id(d): _circle(d, image.shape)[2] for d in kept}
        least = LEAST_SIZE * max([0.5 * self._tallest, *radius.values()])
        kept = sorted((d for d in kept if radius[id(d)] >= least), key=lambda d: -radius[id(d)])
        places = [self._place(image=packet, detection=packet_creator.create_proto(d)).get("roi") for d in kept]
        return [place for place in places if place is not None][: self._limit]

    def _detections(self, packet: Any) -> list[Any]:
        from mediapipe.python import packet_getter

        found = self._find(image=packet).get("detections")
        return packet_getter.get_proto_list(found) if found is not None else []

    def _within(self, image: np.ndarray, top: int, left: int, side: int) -> list[Any]:
        """Detections in a square of the picture, in shares of the whole picture; not of people whom it cuts."""
        from mediapipe.python import packet_creator

        part = np.ascontiguousarray(image[top : top + side, left : left + side])
        if part.shape == image.shape:
            return []
        height, width = image.shape[:2]
        high, wide = part.shape[:2]
        whole = []
        for detection in self._detections(packet_creator.create_image_frame(image_format=_srgb(), data=part)):
            place = detection.location_data
            for point in place.relative_keypoints:
                point.x, point.y = (left + wide * point.x) / width, (top + high * point.y) / height
            box = place.relative_bounding_box
            box.xmin, box.ymin = (left + wide * box.xmin) / width, (top + high * box.ymin) / height
            box.width, box.height = box.width * wide / width, box.height * high / height
            x, y, radius = _circle(detection, image.shape)
            reach = 0.75 * radius  # hands and feet seldom reach the circle
            beside = (left > 0 and x - reach < left) or (left + wide < width and x + reach > left + wide)
            beyond = (top > 0 and y - reach < top) or (top + high < height and y + reach > top + high)
            if not (beside or beyond):
                whole.append(detection)
        return whole


def _corners(shape: tuple[int, ...], side: int) -> list[tuple[int, int]]:
    """Upper left corners of squares that cover a picture and overlap by half or more."""
    places = [np.linspace(0, size - side, 1 + -(-2 * (size - side) // side)).astype(int).tolist() for size in shape]
    return [(top, left) for top in places[0] for left in places[1]]


def _circle(detection: Any, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Middle of the hips and radius about it that holds the body, px."""
    hips, rim = detection.location_data.relative_keypoints[:2]
    height, width = shape[:2]
    return hips.x * width, hips.y * height, float(np.hypot((rim.x - hips.x) * width, (rim.y - hips.y) * height))


def _overlap(a: Any, b: Any, shape: tuple[int, ...]) -> bool:
    """Whether two detections are of one person."""
    (xa, ya, ra), (xb, yb, rb) = _circle(a, shape), _circle(b, shape)
    return float(np.hypot(xa - xb, ya - yb)) < 0.3 * max(ra, rb)


def _srgb() -> Any:
    from mediapipe.python._framework_bindings.image_frame import ImageFormat

    return ImageFormat.SRGB


def _numbers(landmarks: Any, world: Any, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    return np.array(
        [(a.x * width - 0.5, a.y * height - 0.5, a.visibility, b.x, b.y, b.z) for a, b in zip(landmarks, world)]
    )


def _look(person: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Mean colours of small squares on the body, left and right together."""
    uv = person[:, :2]
    shoulders, hips = uv[[11, 12]].mean(0), uv[[23, 24]].mean(0)
    down = hips - shoulders
    thighs, shins = 0.6 * uv[[23, 24]] + 0.4 * uv[[25, 26]], 0.6 * uv[[25, 26]] + 0.4 * uv[[27, 28]]
    places = [uv[:1], (shoulders + 0.3 * down)[None], (shoulders + 0.8 * down)[None], thighs, shins]
    half = max(1, round(0.02 * np.ptp(uv[:, 1])))
    colours = []
    for part in places:
        patches = []
        for x, y in np.rint(part).astype(int):
            patch = image[max(y - half, 0) : max(y + half + 1, 0), max(x - half, 0) : max(x + half + 1, 0)]
            patches.append(patch.reshape(-1, 3))
        pixels = np.concatenate(patches)
        colours.append(pixels.mean(0) / 255.0 if len(pixels) else np.full(3, np.nan))
    return np.concatenate(colours)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    height = max(np.ptp(a[:, 1]), np.ptp(b[:, 1]), 1.0)
    return float(np.linalg.norm(a[:, :2] - b[:, :2], axis=-1).mean()) < SAME * height


def _read(stream: BinaryIO, count: int) -> bytes | None:
    """Exactly so many bytes; None at the end of the stream."""
    data = stream.read(count)
    return data if len(data) == count else None


def serve(limit: int, complexity: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer messages until the source ends."""
    import mediapipe
    from mediapipe.python._framework_bindings import resource_util

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
    people = People(limit, complexity)
    sink.write(f"ready {mediapipe.__version__}\n".encode())
    sink.flush()
    while (kind := _read(source, 1)) is not None:
        if kind == b"R":
            people.forget()
            continue
        head = _read(source, 8)
        if head is None:
            return
        height, width = struct.unpack("<II", head)
        data = _read(source, 3 * height * width)
        if data is None:
            return
        found, looks = people.step(np.frombuffer(data, np.uint8).reshape(height, width, 3))
        sink.write(struct.pack("<I", len(found)) + found.tobytes() + looks.tobytes())
        sink.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what mediapipe prints must not mix with the answers
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer, answers)
