"""What a body moves on: surfaces that carry it. Knows no body and no physics."""

from mjxhuman.scenes.files import load_surface
from mjxhuman.scenes.height_field import HeightField
from mjxhuman.scenes.surface import FRICTION, Nearest, Plane, Surface, Surfaces

__all__ = ["FRICTION", "HeightField", "Nearest", "Plane", "Surface", "Surfaces", "load_surface"]
