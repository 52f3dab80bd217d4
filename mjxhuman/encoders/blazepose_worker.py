"""Runs MediaPipe's pose models in an environment of their own: pictures in on stdin, landmarks out on stdout.

Started by ``mjxhuman.encoders.blazepose`` as a script, with a Python that has mediapipe; imports nothing of mjxhuman.
Messages, little-endian:

    in   b"P", uint32 height, uint32 width, height * width * 3 bytes RGB      a picture
         b"R"                                                                 a new clip: forget the people
    out  at the start one line, "ready" and mediapipe's version
         for each picture uint32 n, then n * 33 * 6 float32: x, y in px of the picture (0, 0 the first pixel's centre),
         visibility 0..1, and X, Y, Z in m from the middle of the hips, axes right, down, away from the camera

Tracking is MediaPipe's: a person's next region comes from the landmarks of the frame before; people are looked for
where nobody is followed, and every ``SEARCH`` frames. Landmarks are not smoothed over time.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

#: Frames between two searches for more people.
SEARCH = 15
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

    def __init__(self, limit: int) -> None:
        from mediapipe.python import packet_creator

        self._limit = limit
        self._find = Graph(_FIND, ("detections",))
        self._place = Graph(_PLACE, ("roi",))
        full = {"model": packet_creator.create_int(1)}  # the only one of three that the package contains
        self._measure = Graph(_MEASURE, ("landmarks", "world", "next"), full)
        self.forget()

    def forget(self) -> None:
        """A new clip starts."""
        self._regions: list[Any] = []
        self._count = 0

    def step(self, image: np.ndarray) -> np.ndarray:
        """Landmarks (n, 33, 6) of the next picture (H, W, 3) uint8, people followed for longest first."""
        from mediapipe.python import packet_creator, packet_getter

        packet = packet_creator.create_image_frame(image_format=_srgb(), data=image)
        regions = [(packet_creator.create_proto(region), region) for region in self._regions]
        search = not regions or (len(regions) < self._limit and self._count % SEARCH == 0)
        self._count += 1
        if search:
            regions += [(found, None) for found in self._search(packet, packet_creator, packet_getter)]
        people: list[np.ndarray] = []
        self._regions = []
        for region, _ in regions:
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
        return np.asarray(people, "<f4").reshape(-1, 33, 6)

    def _search(self, packet: Any, creator: Any, getter: Any) -> list[Any]:
        found = self._find(image=packet).get("detections")
        detections = getter.get_proto_list(found) if found is not None else []
        detections = sorted(detections, key=lambda detection: -detection.score[0])[: self._limit]
        places = [self._place(image=packet, detection=creator.create_proto(d)).get("roi") for d in detections]
        return [place for place in places if place is not None]


def _srgb() -> Any:
    from mediapipe.python._framework_bindings.image_frame import ImageFormat

    return ImageFormat.SRGB


def _numbers(landmarks: Any, world: Any, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    return np.array(
        [(a.x * width - 0.5, a.y * height - 0.5, a.visibility, b.x, b.y, b.z) for a, b in zip(landmarks, world)]
    )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    height = max(np.ptp(a[:, 1]), np.ptp(b[:, 1]), 1.0)
    return float(np.linalg.norm(a[:, :2] - b[:, :2], axis=-1).mean()) < SAME * height


def _read(stream: BinaryIO, count: int) -> bytes | None:
    """Exactly so many bytes; None at the end of the stream."""
    data = stream.read(count)
    return data if len(data) == count else None


def serve(limit: int, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer messages until the source ends."""
    import mediapipe
    from mediapipe.python._framework_bindings import resource_util

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
    people = People(limit)
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
        found = people.step(np.frombuffer(data, np.uint8).reshape(height, width, 3))
        sink.write(struct.pack("<I", len(found)) + found.tobytes())
        sink.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what mediapipe prints must not mix with the answers
    serve(int(sys.argv[1]), sys.stdin.buffer, answers)
