"""Any file to a ``Motion``: motion files as they are, videos and files of 2D keypoints by recovery."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mjxhuman.data import QposMotion, read_motion
from mjxhuman.data.cameras import NOT_LEVELLED, level_camera, read_camera
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.formats import format_of
from mjxhuman.data.source import Source
from mjxhuman.encoders.base import Encoding, Person, choose
from mjxhuman.encoders.cache import encode_video
from mjxhuman.encoders.precomputed import read_encoding
from mjxhuman.encoders.registry import shared_encoder
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.options import (
    BodyOptions,
    ClipOptions,
    FileOptions,
    ReadOptions,
    VideoOptions,
    keywords,
    record_of,
    takes,
)
from mjxhuman.physics.flight import timed
from mjxhuman.physics.motion import MIN_FRAMES, motion_from_qpos
from mjxhuman.retarget.belt import off_belt
from mjxhuman.retarget.motion import retarget_motion, retarget_together
from mjxhuman.runs.progress import busy
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import BodyMotion, Camera, Keypoints, Motion

if TYPE_CHECKING:
    from mjxhuman.recovery.recover import Recovery

# Share by which a camera's image size may differ from the video's: codecs crop 1088 rows to 1080.
_SAME_SIZE = 0.01


@dataclasses.dataclass(frozen=True)
class Recovered:
    """A motion from a video or keypoints, and how it came about."""

    motion: Motion
    encoding: Encoding
    person: Person
    camera: Camera  # as given
    recovery: Recovery | None  # of the fit to keypoints; None where the encoder gives body motion
    path: Path
    is_video: bool


@takes(ReadOptions)
def load_motion(
    path: str | os.PathLike[str],
    humanoid: Humanoid | None = None,
    *,
    video: VideoOptions = VideoOptions(),
    **reading: Any,
) -> Motion:
    """The motion in a file of any known format, on a humanoid.

    Args:
      path: a motion file (``mjxhuman.data.read_motion`` has the formats), a video, or 2D keypoints (a .json or .npz, or
        a folder of OpenPose's .json).
      humanoid: the body; None takes the built-in one at the subject's stature, or the body that a file of joint
        coordinates names.
      video: of videos and keypoints: encoder, person, camera.
      reading: the options of ``mjxhuman.options.ReadOptions``. ``fps``: frames per second, where the file does not say
        or says it wrong (slow motion); ``up``, ``unit``, ``skeleton`` of motion files, see ``read_motion``; ``ground``:
        "none", "lowest", "stance" or "plane" (``mjxhuman.retarget.ground``); ``belt_speed``: of a treadmill, m/s or
        "auto" (``mjxhuman.retarget.belt``); ``retime``: "auto" sets the speed by how
        the body falls (``mjxhuman.physics.flight``). Files of joint coordinates are not moved.

    Raises:
      FileNotFoundError, MotionFileError, ImportError: as ``read_motion``, ``Video`` and ``read_detections``.
      ValueError: as ``retarget_motion`` and ``recover_motion``; nobody in the video.
      RuntimeError: the encoder cannot run; the message says why.
    """
    options = ReadOptions(**reading)
    if kind_of(path) != "motion":
        _no_belt(options, path, "a video or keypoints")
        return recover(path, humanoid, options=video, **reading).motion
    motion = read_motion(path, **keywords(FileOptions, options))
    if isinstance(motion, QposMotion):
        _no_belt(options, path, "joint coordinates")
        return timed(_from_coordinates(motion, humanoid, str(path)), options.retime)
    if options.belt_speed is not None:
        motion = off_belt(motion, options.belt_speed)
    return timed(retarget_motion(motion, humanoid, ground=options.ground), options.retime)


def _no_belt(options: ReadOptions, path: str | os.PathLike[str], found: str) -> None:
    if options.belt_speed is not None:
        raise ValueError(f"{path}: belt_speed: expected a skeleton or markers, found {found}")


def load_clip(path: str | os.PathLike[str], humanoid: Humanoid | None, options: ClipOptions) -> Motion:
    """``load_motion`` with the options of a record, as commands and launchers have them."""
    return load_motion(path, humanoid, video=record_of(VideoOptions, options), **keywords(ReadOptions, options))


def body_of(options: BodyOptions) -> Humanoid | None:
    """The humanoid that options name; None for the default body at each subject's own stature.

    Raises:
      ValueError, FileNotFoundError: as ``load_humanoid``.
    """
    chosen = record_of(BodyOptions, options)
    if chosen == BodyOptions():
        return None
    return load_humanoid(chosen.humanoid, stature=chosen.stature, mass=chosen.mass)


def _from_coordinates(motion: QposMotion, humanoid: Humanoid | None, path: str) -> Motion:
    options = dict(motion.humanoid)
    name = options.pop("name", None)
    if humanoid is not None and motion.controls is not None and (own := load_humanoid(name, **options)) is not humanoid:
        raise ValueError(f"{path}: humanoid: found a plan of {own.description}, expected one of {humanoid.description}")
    if humanoid is None:
        if not name:
            raise ValueError(
                f"{path}: joint coordinates ({motion.qpos.shape[1]} per frame) of an unnamed body; expected the "
                "argument humanoid=, for example load_humanoid('robot.xml')"
            )
        humanoid = load_humanoid(name, **options)
    provenance = motion.provenance
    if provenance.ground == "none":
        provenance = provenance.with_(retarget=(*provenance.retarget, "joint coordinates taken as they are"))
    try:
        found = motion_from_qpos(
            humanoid, motion.qpos, motion.fps, qvel=motion.qvel, valid=motion.valid, provenance=provenance
        )
        return dataclasses.replace(found, controls=motion.controls)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def kind_of(path: str | os.PathLike[str]) -> str:
    """Whether a file is a "video", holds 2D "keypoints" (a folder does, if it has .json in it), or "motion".

    Raises:
      FileNotFoundError: no such file.
    """
    path = Path(path)
    if path.is_dir():
        return "keypoints" if any(path.glob("*.json")) else "motion"
    Source(path).require_file()
    try:
        found = format_of(Source(path)).kind
    except MotionFileError:
        found = "motion"  # whose reader says what is wrong
    return found if found in ("video", "keypoints") else "motion"


@takes(ReadOptions)
def recover(
    path: str | os.PathLike[str],
    humanoid: Humanoid | None = None,
    *,
    options: VideoOptions = VideoOptions(),
    cache: bool = True,
    surface: Surface | None = None,
    camera: Camera | None = None,
    **reading: Any,
) -> Recovered:
    """The motion of one person in a video or a file of keypoints; see ``load_motion``.

    Args:
      surface: what the fit's soles stand on, see ``recover_with_report``; None is a level floor.
      camera: in the place of the one that ``options`` name.
    """
    (found,) = _recoveries(path, humanoid, ReadOptions(**reading), options, cache, surface, False, camera)
    return _or_raise(found)


@takes(ReadOptions)
def recover_all(
    path: str | os.PathLike[str],
    humanoid: Humanoid | None = None,
    *,
    options: VideoOptions = VideoOptions(),
    cache: bool = True,
    surface: Surface | None = None,
    **reading: Any,
) -> Iterator[Recovered | ValueError]:
    """The motion of everyone, in the order of ``Encoding.people``, or why there is none of this person.

    They share one world: vertical, floor and camera are found from all of them, and who stands beside whom in the film
    does so in the result.

    Raises:
      As ``load_motion``, at the first; nobody in the video.
    """
    yield from _recoveries(path, humanoid, ReadOptions(**reading), options, cache, surface, everyone=True)


def _or_raise(found: Recovered | ValueError) -> Recovered:
    if isinstance(found, ValueError):
        raise found
    return found


def _recoveries(
    path: str | os.PathLike[str],
    humanoid: Humanoid | None,
    reading: ReadOptions,
    options: VideoOptions,
    cache: bool,
    surface: Surface | None,
    everyone: bool,
    camera: Camera | None = None,
) -> list[Recovered | ValueError]:
    """Each person asked for, or the reason why there is no motion."""
    path = Path(path)
    given, film = given_camera(options) if camera is None else camera, kind_of(path) == "video"
    if film:
        encoder = shared_encoder(options.encoder, options.weights, options.model)
        encoding = encode_video(path, encoder, given, fps=reading.fps, region=options.region, cache=cache)
    else:
        encoding = read_encoding(path, fps=reading.fps, image_size=given.image_size if given else None)
    if encoding.frames < MIN_FRAMES:
        raise MotionFileError(path, "frames", encoding.frames, f"at least {MIN_FRAMES}")
    camera = _fitting(given, options, encoding, path)
    wanted: list[str | int] = list(range(len(encoding.people))) if everyone and encoding.people else [options.person]
    chosen = [choose(encoding, person, path) for person in wanted]
    return _together(path, film, encoding, chosen, camera, humanoid, reading, surface)


def from_encoding(
    encoding: Encoding, path: str | os.PathLike[str], humanoid: Humanoid | None = None, ground: str = "stance"
) -> Recovered:
    """The motion of the largest person of an encoding, seen by a level camera."""
    camera = _fitting(None, VideoOptions(), encoding, Path(path))
    chosen, reading = [choose(encoding, "largest", path)], ReadOptions(ground=ground)
    (found,) = _together(Path(path), True, encoding, chosen, camera, humanoid, reading)
    return _or_raise(found)


def _together(
    path: Path,
    film: bool,
    encoding: Encoding,
    chosen: Sequence[tuple[Person, str]],
    camera: Camera,
    humanoid: Humanoid | None,
    reading: ReadOptions,
    surface: Surface | None = None,
) -> list[Recovered | ValueError]:
    """People, each with the sentence that says who it is, in one world."""
    people = [person.keypoints for person, _ in chosen if _by_fit(person) and person.keypoints is not None]
    bodies = [person.body for person, _ in chosen if person.body is not None]
    fits = iter(_fitted(people, path, camera, humanoid, reading.ground, surface) if people else ())
    given = iter(_retargeted(bodies, humanoid, reading.ground) if bodies else ())
    results: list[Recovered | ValueError] = []
    for person, said in chosen:
        try:
            recovery: Recovery | None = None
            if _by_fit(person):
                found = next(fits)
                if isinstance(found, ValueError):
                    raise found
                motion, recovery = found
            elif person.body is not None:
                own = next(given)
                if isinstance(own, ValueError):
                    raise own
                motion = own
            else:
                raise ValueError(f"the encoder {encoding.encoder} gives neither keypoints nor body motion")
        except ValueError as error:
            text = str(error)
            results.append(ValueError(text if text.startswith(str(path)) else f"{path}: {text}"))
            continue
        before = motion.provenance
        assumed = () if recovery is None else _assumed(camera, recovery)
        conventions = tuple(dict.fromkeys((*before.conventions, *encoding.notes, said, *assumed)))
        kind = f"video, {encoding.encoder}" if film else "keypoints"
        provenance = before.with_(path=str(path), format=kind, conventions=conventions)
        motion = timed(dataclasses.replace(motion, provenance=provenance), reading.retime)
        results.append(Recovered(motion, encoding, person, camera, recovery, path, film))
    return results


def _by_fit(person: Person) -> bool:
    return person.body is None and person.keypoints is not None


def _retargeted(bodies: list[BodyMotion], humanoid: Humanoid | None, ground: str) -> list[Motion | ValueError]:
    try:
        return retarget_together(bodies, humanoid, ground=ground)
    except ValueError as error:
        return [error] * len(bodies)


def _fitted(
    people: list[Keypoints],
    path: Path,
    camera: Camera,
    humanoid: Humanoid | None,
    ground: str,
    surface: Surface | None,
) -> list[tuple[Motion, Recovery] | ValueError]:
    from mjxhuman.recovery.recover import recover_people  # its solver takes a second to import

    tilted = NOT_LEVELLED in camera.provenance.conventions
    estimate = ("stature", "gravity") if tilted else ("stature",)
    try:
        with busy(f"fitting a body to the keypoints of {path} (compiled the first time, some 20 s)"):
            return recover_people(people, camera, humanoid, estimate=estimate, ground=ground, surface=surface)
    except ValueError as error:
        return [error] * len(people)


def _assumed(camera: Camera, recovery: Recovery) -> tuple[str, ...]:
    """What was assumed of the camera, and how far off it was found to be."""
    found = f"found {np.rad2deg(recovery.tilt):.0f} deg off level by how the person stands"
    return tuple(f"{line}: {found}" if line == NOT_LEVELLED else line for line in camera.provenance.conventions)


def given_camera(options: VideoOptions) -> Camera | None:
    """The camera of ``file`` or ``file:name``."""
    if options.camera is None:
        return None
    file, _, name = options.camera.rpartition(":")
    return read_camera(file, name) if file and not Path(options.camera).exists() else read_camera(options.camera)


def _fitting(camera: Camera | None, options: VideoOptions, encoding: Encoding, path: Path) -> Camera:
    if camera is None:
        return level_camera(encoding.image_size, options.focal)
    if options.focal is not None:
        raise ValueError(
            f"focal: expected a camera file or a focal length, found {options.camera} and {options.focal:g}"
        )
    frames = np.shape(camera.intrinsics)[0]
    if frames not in (1, encoding.frames):
        raise ValueError(f"{options.camera}: found {frames} frames, expected 1 or {encoding.frames} as in {path}")
    if not np.allclose(camera.image_size, encoding.image_size, rtol=_SAME_SIZE):
        found, expected = ("x".join(map(str, size)) for size in (camera.image_size, encoding.image_size))
        raise ValueError(f"{options.camera}: image_size: found {found}, expected {expected} as in {path}")
    return camera
