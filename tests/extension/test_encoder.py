"""An encoder of one's own: a class that says where people's keypoints are in a video, registered under a name.

From then on ``--encoder NAME``, ``VideoOptions(encoder=NAME)`` and the reward on videos take it.
"""

import numpy as np

from mjxhuman.data.video import VideoArray
from mjxhuman.encoders.base import collect
from mjxhuman.encoders.registry import Entry, encoder_table, make_encoder, register

NAMES = ("Nose", "LShoulder", "RShoulder", "LHip", "RHip", "LAnkle", "RAnkle")
#: Where they are about the middle of a person who stands upright, in shares of the height: x right, y down.
PLACE = np.array([[0, -0.45], [0.1, -0.3], [-0.1, -0.3], [0.07, 0], [-0.07, 0], [0.07, 0.5], [-0.07, 0.5]])


class BrightBlob:
    """Takes what is bright for a person who stands upright: no network, and quick."""

    name = "bright_blob"
    takes_device_arrays = False

    def fingerprint(self):
        return "bright_blob 1"

    def encode(self, video, camera=None):
        times, found = [], []
        for picture in video:
            y, x = np.nonzero(picture.image.max(-1) > 128)
            centre, height = np.array([x.mean(), (y.min() + y.max()) / 2]), np.ptp(y) + 1
            uv = centre + PLACE * height
            times.append(picture.time)
            found.append({"uv": uv[None], "confidence": np.full((1, len(NAMES)), 0.9)})
        return collect(video, self.name, times, found, NAMES, notes=("bright_blob sees no legs",))

    def close(self):
        pass


def test_the_encoder_finds_the_person():
    register("bright_blob", Entry(BrightBlob, "7 keypoints", "nothing", lambda: True, proven=True))
    assert encoder_table()["bright_blob"].available()
    pictures = np.zeros((15, 120, 160, 3), np.uint8)
    for frame, picture in enumerate(pictures):
        picture[20:100, 40 + frame : 60 + frame] = 255
    encoding = make_encoder("bright_blob").encode(VideoArray(pictures, 30.0, "blob"))
    (person,) = encoding.people
    assert (encoding.frames, encoding.fps, encoding.image_size) == (15, 30.0, (160, 120))
    assert person.seen.all() and "bright_blob sees no legs" in encoding.notes
    hips = np.asarray(person.keypoints.uv)[:, [3, 4]].mean(1)
    np.testing.assert_allclose(hips, np.stack([49.5 + np.arange(15), np.full(15, 59.5)], 1), atol=0.1)
