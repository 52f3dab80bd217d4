"""Pretrained networks behind one interface: a video and a camera in, keypoints, features or body motion out.

    from mjxhuman.encoders import encode_video, make_encoder
    encoding = encode_video("clip.mp4", make_encoder("blazepose"))
    encoding.people[0].keypoints

Importing this package loads no network; torch is imported by the encoders that need it, when they run.
"""

from mjxhuman.encoders.base import Encoder, Encoding, Person, choose
from mjxhuman.encoders.cache import encode_video
from mjxhuman.encoders.registry import encoder_table, make_encoder, register

__all__ = ["Encoder", "Encoding", "Person", "choose", "encode_video", "encoder_table", "make_encoder", "register"]
