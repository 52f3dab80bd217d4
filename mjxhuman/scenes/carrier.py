"""What carries a body: a surface, the floor and furniture of a scene, or by default the level floor."""

from __future__ import annotations

from mjxhuman.scenes.sdf import scene_surface
from mjxhuman.scenes.surface import Surface, checked
from mjxhuman.scenes.types import Scene


def carrier(surface: Surface | None, scene: Scene | None) -> Surface:
    """The surface, or that of the scene's floor and objects at their poses; ``Plane()`` for neither.

    Raises:
      ValueError: both are given, the scene is no ``Scene``, its poses have a batch axis, or the surface is none.
    """
    if scene is None:
        return checked(surface)
    if not isinstance(scene, Scene):
        raise ValueError(f"scene: expected a mjxhuman.scenes.Scene, found {type(scene).__name__}")
    if surface is not None:
        raise ValueError("surface: expected None beside a scene, whose floor is its own (scene.floor)")
    return checked(scene_surface(scene))
