"""What a body moves on and among: surfaces that carry it, furniture. Knows no body and no physics."""

from mjxhuman.scenes.height_field import HeightField
from mjxhuman.scenes.reading.formats import SceneFormat, register_scene_format, scene_formats
from mjxhuman.scenes.reading.load import load_scene
from mjxhuman.scenes.reading.scene_npz import save_scene
from mjxhuman.scenes.surface import FRICTION, Nearest, Plane, Surface, Surfaces
from mjxhuman.scenes.surface_files import load_surface

__all__ = [
    "FRICTION",
    "HeightField",
    "Nearest",
    "Plane",
    "SceneFormat",
    "Surface",
    "Surfaces",
    "load_scene",
    "load_surface",
    "register_scene_format",
    "save_scene",
    "scene_formats",
]
