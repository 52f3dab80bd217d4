"""The task of doing what the person in a video does: tracking by sight."""

from mjxhuman.envs.vision.config import VisionConfig
from mjxhuman.envs.vision.expert import Expert, make_expert
from mjxhuman.envs.vision.library import VisualLibrary, make_visual_library
from mjxhuman.envs.vision.task import Vision, make_vision

__all__ = ["Expert", "Vision", "VisionConfig", "VisualLibrary", "make_expert", "make_vision", "make_visual_library"]
