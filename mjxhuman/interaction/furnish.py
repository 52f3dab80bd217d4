"""Furniture as callers name it, brought to a motion: what has a place stays there, the rest goes to who sits.

    OBJECT[@X,Y[,DEGREES]]      OBJECT: a file or folder, KIND[:SEED[:DAMAGE[:SEVERITY]]], or ``seat``

``seat`` is a box under who sits (``fit_seat``). A place is in metres on the floor, with the turn of the object's +x
axis from the world's. Without one, objects that a file has elsewhere than at the origin are where it says, and others
where ``placed`` puts them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mjxhuman.interaction.place import joined, placed
from mjxhuman.interaction.seat import fit_seat
from mjxhuman.math import quaternion
from mjxhuman.options import FurnishedOptions, keywords, spelt
from mjxhuman.runs.terminal import message
from mjxhuman.scenes.named import check_about_files, named_scene
from mjxhuman.scenes.types import Scene, resting
from mjxhuman.types import Motion

#: The name of a seat that is made for the motion.
SEAT = "seat"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_PLACE = re.compile(rf"{_NUMBER},{_NUMBER}(?:,{_NUMBER})?")


@dataclasses.dataclass(frozen=True, eq=False)
class Furniture:
    """Objects as they were named, for any motion."""

    scenes: tuple[Scene | None, ...]  # one per name; None: a seat made for the motion
    own_place: tuple[bool, ...]  # whether its objects stay where they are

    def around(self, motion: Motion) -> Scene:
        """The objects where a motion needs them.

        Raises:
          ValueError: a seat is to be made, and nobody sits (``fit_seat``).
        """
        scenes = [fit_seat(motion) if scene is None else scene for scene in self.scenes]
        stays = np.repeat(self.own_place, [len(scene.objects) for scene in scenes])
        return placed(motion, joined(scenes), ~stays)


def furniture(names: Sequence[str], options: FurnishedOptions, progress: bool = False) -> Furniture:
    """Read what names stand for; see the module.

    Raises:
      FileNotFoundError: neither a file nor a kind.
      ValueError: no name, a place that is none, a built-in kind with a wrong seed or damage, options for files where
        there is none, or as ``load_scene``.
    """
    if not names:
        raise ValueError("scene: expected the name of furniture, found none")
    check_about_files(keywords(FurnishedOptions, options), map(file_of, names))
    found = [_named(name, options, progress) for name in names]
    return Furniture(tuple(scene for scene, _ in found), tuple(own for _, own in found))


def file_of(text: str) -> Path:
    """The file or folder that a name stands for, whether there is one or not."""
    return Path(_parts(text)[0])


def places(scene: Scene) -> dict[str, tuple[float, float, float]]:
    """Where each object is: x and y in m, and the turn of its +x axis from the world's in degrees."""
    x = quaternion.rotate(np.asarray(scene.poses, float)[:, 3:], np.array([1.0, 0.0, 0.0]))
    turn = np.rad2deg(np.arctan2(x[:, 1], x[:, 0]))
    found = np.round(np.c_[np.asarray(scene.poses)[:, :2], turn], 3) + 0.0
    return {name: (place[0], place[1], place[2]) for name, place in zip(scene.names, found.tolist(), strict=True)}


def _named(text: str, options: FurnishedOptions, progress: bool) -> tuple[Scene | None, bool]:
    name, place = _parts(text)
    if name == SEAT and not Path(SEAT).exists():
        if place:
            raise ValueError(f"{text}: expected no place, which is found from the motion, found {place!r}")
        return None, True
    if place and not _PLACE.fullmatch(place):
        raise ValueError(f"{text}: expected a place X,Y or X,Y,DEGREES after '@', found {place!r}")
    given = {key.removeprefix("furniture_"): value for key, value in keywords(FurnishedOptions, options).items()}
    try:
        scene = named_scene(name, progress=progress, **given)
    except ValueError as error:  # in the words of this record
        raise ValueError(spelt(message(error), "the argument furniture_{}=")) from error
    if place:
        return _moved(scene, *map(float, place.split(","))), True
    return scene, not np.array_equal(scene.poses, resting(scene.objects))


def _parts(text: str) -> tuple[str, str]:
    """The name of furniture, and the place behind it; a file may have the sign in its name."""
    name, _, place = ("", "", "") if Path(text).exists() else text.rpartition("@")
    return (name, place) if name else (text, "")


def _moved(scene: Scene, x: float, y: float, degrees: float = 0.0) -> Scene:
    turn = quaternion.about(np.array([0.0, 0.0, 1.0]), np.deg2rad([degrees]))
    poses = np.array(scene.poses, np.float64)
    poses[:, :3] = quaternion.rotate(turn, poses[:, :3]) + [x, y, 0.0]
    poses[:, 3:] = quaternion.multiply(turn, poses[:, 3:])
    return dataclasses.replace(scene, poses=poses)
