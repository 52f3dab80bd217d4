"""What a caller may say about reading, bodies, videos and scoring: one record each, and what is made from a record.

A field of a record is a flag of the commands (``add_flags``), a value of the launchers' configurations (``values``) and
a keyword of the functions that read (``takes``): a new option is one line here, and the code that heeds it. This module
loads nothing heavy, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import math
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

#: Metres per unit. ``asf`` is the unit of CMU's files: an inch divided by the ``length 0.45`` of their skeletons.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "asf": 0.0254 / 0.45}
UP_AXES = ("x", "y", "z", "-x", "-y", "-z")
#: What brings a motion to the floor; ``mjxhuman.retarget.ground`` explains each.
GROUNDS = ("none", "lowest", "stance", "plane")
#: Whether a clip's speed is set by how its body falls; ``mjxhuman.physics.flight`` explains it.
RETIMES = ("none", "auto")
#: What stands for a value that is to be found.
AUTO = "auto"
#: Kinds of furniture; ``mjxhuman.scenes.objects.KINDS`` says what is known of each.
FURNITURE = ("chair", "stool", "bench", "sofa", "table", "steps")
REWARDS = ("feasibility", "phymotion")

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound="Record")


def option(
    default: Any,
    help: str,
    *,
    kind: Callable[[Any], Any] = str,
    choices: tuple[str, ...] = (),
    metavar: str | None = None,
    stored: type = str,
    many: bool = False,
) -> Any:
    """A field of a ``Record``.

    Args:
        default: None leaves the choice to the file and its format.
        help: one line, for ``--help``.
        kind: from what the caller gives, text of a command line too, to the value; raises ValueError.
        choices: all that can be given.
        metavar: what stands for the value in ``--help``.
        stored: the type of the value in a configuration.
        many: whether the flag may be given more than once; the value is a tuple then.
    """
    facts = {"help": help, "kind": kind, "choices": choices, "metavar": metavar, "stored": stored, "many": many}
    return dataclasses.field(default=default, metadata=facts)


def positive(what: str) -> Callable[[Any], float]:
    """A kind: a finite number above zero; ``what`` it counts is for the error."""

    def parse(value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"expected a positive number of {what}, found {value}")
        return number

    return parse


def _length_unit(value: Any) -> str | float:
    if isinstance(value, str) and value in UNITS:
        return value
    try:
        return positive("metres per unit")(value)
    except ValueError:
        raise ValueError(
            f"expected one of {', '.join(UNITS)} or a positive number of metres per unit, found {value!r}"
        ) from None


def _belt(value: Any) -> str | float:
    return AUTO if value == AUTO else positive("metres per second, or auto")(value)


def _region(value: Any) -> tuple[float, float, float, float]:
    try:
        x0, y0, x1, y1 = (float(x) for x in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        raise ValueError(f"expected X0,Y0,X1,Y1 in pixels, found {value!r}") from None
    return x0, y0, x1, y1


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(os.fspath, [value] if isinstance(value, (str, os.PathLike)) else value))


class Record:
    """Base of the records: values are brought to their kind and checked when one is made.

    Raises:
        ValueError: a value that its option does not take; the message begins with the option's name.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is not None:
                try:
                    object.__setattr__(self, field.name, parsed(field, value))
                except ValueError as error:
                    raise ValueError(f"{field.name}: {error}") from None


@dataclasses.dataclass(frozen=True)
class FileOptions(Record):
    """What a file does not say or says wrong (default: the file, else a convention of its format)."""

    fps: float | None = option(None, "frames per second", kind=positive("frames per second"), stored=float)
    up: str | None = option(None, "up axis of the file (a minus sign as in --up=-y)", choices=UP_AXES)
    unit: str | float | None = option(
        None, f"length unit of the file: {', '.join(UNITS)}, or metres per unit", kind=_length_unit
    )
    skeleton: str | None = option(
        None, ".asf of an .amc, or character file of a DeepMimic motion", kind=os.fspath, metavar="FILE"
    )
    joints: str | None = option(
        None,
        'map of joints: JSON of SMPL\'s names and the file\'s, {"L_Hip": "thigh.L", ...}',
        kind=os.fspath,
        metavar="MAP.json",
    )
    quaternion: str | None = option(
        None, "order of the root's quaternion in a .csv (default: found)", choices=("wxyz", "xyzw")
    )


@dataclasses.dataclass(frozen=True)
class FurnitureOptions(Record):
    """What a file of furniture does not say (default: its format, else the one reading that stands like furniture)."""

    up: str | None = option(None, "up axis of the file (a minus sign as in --up=-y)", choices=UP_AXES)
    unit: str | float | None = option(
        None, f"length unit of the file: {', '.join(UNITS)}, or metres per unit", kind=_length_unit
    )
    parts: str | None = option(
        None, "convex pieces of the object, a file or folder (default: computed)", kind=os.fspath, metavar="FILE"
    )
    kind: str | None = option(None, "what it is (default: as its name says)", choices=FURNITURE)
    mass: float | None = option(
        None, "mass of each object, kg (default: the file's, else what its kind weighs)", kind=positive("kilograms"),
        metavar="KG", stored=float,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ReadOptions(FileOptions):
    """What is done with any motion."""

    ground: str = option("stance", "how the motion is put on the floor", choices=GROUNDS)
    belt_speed: float | str | None = option(
        None, "speed of a treadmill's belt, m/s, or auto: from the standing feet", kind=_belt, metavar="SPEED"
    )
    retime: str = option("none", "auto: the speed at which flights fall as gravity wants", choices=RETIMES)


@dataclasses.dataclass(frozen=True)
class BodyOptions(Record):
    """The body that a motion is put on."""

    humanoid: str = option("smpl", "smpl, or an MJCF file", kind=os.fspath, metavar="NAME")
    stature: float | None = option(
        None, "stature of the body, m (default: the subject's)", kind=positive("metres"), metavar="M", stored=float
    )
    mass: float | None = option(
        None, "mass of the body, kg (default: from the stature)", kind=positive("kilograms"), metavar="KG", stored=float
    )


@dataclasses.dataclass(frozen=True)
class VideoOptions(Record):
    """How people are found in videos and files of 2D keypoints."""

    encoder: str = option(
        "blazepose", "network: blazepose, vitpose, hmr2, gvhmr or exported ('mjxhuman info')", metavar="NAME"
    )
    weights: str | None = option(
        None, "folder of its weights, where it does not bring its own", kind=os.fspath, metavar="DIR"
    )
    model: str | None = option(
        None, "blazepose's network (default: the best that is installed)", choices=("heavy", "full")
    )
    person: str = option("largest", "largest, or a number from 0", metavar="WHO")
    region: tuple[float, float, float, float] | None = option(
        None, "only this part of the pictures is looked at, px", kind=_region, metavar="X0,Y0,X1,Y1", stored=tuple
    )
    camera: str | None = option(
        None,
        "intrinsics, lens and pose (default: tilt as found, focal length as below)",
        kind=os.fspath,
        metavar="FILE[:NAME]",
    )
    focal: float | None = option(
        None, "focal length, px (default: the image diagonal)", kind=positive("pixels"), metavar="PX", stored=float
    )


@dataclasses.dataclass(frozen=True)
class ClipOptions(VideoOptions, ReadOptions):
    """What decides the motion of a file on a given body: for tracking, training and evaluation."""


@dataclasses.dataclass(frozen=True)
class LoadOptions(BodyOptions, ClipOptions):
    """Everything that decides what a file becomes."""


def _of_furniture(name: str) -> Any:
    """The option of ``FurnitureOptions`` where a motion is read too, whose file has an up axis of its own."""
    return dataclasses.field(default=None, metadata=FurnitureOptions.__dataclass_fields__[name].metadata)


@dataclasses.dataclass(frozen=True)
class FurnishedOptions(Record):
    """What files of furniture do not say, beside a motion's."""

    furniture_up: str | None = _of_furniture("up")
    furniture_unit: str | float | None = _of_furniture("unit")
    furniture_parts: str | None = _of_furniture("parts")
    furniture_kind: str | None = _of_furniture("kind")
    furniture_mass: float | None = _of_furniture("mass")


@dataclasses.dataclass(frozen=True)
class SceneOptions(FurnishedOptions, LoadOptions):
    """What carries the body."""

    scene: tuple[str, ...] | None = option(
        None,
        "furniture that carries too: a file, KIND[:SEED[:DAMAGE[:SEVERITY]]], or seat (a box under who sits); put "
        "under who sits, or where @X,Y[,DEGREES] behind it says; may be given more than once",
        kind=_names, metavar="OBJECT", stored=tuple, many=True,
    )  # fmt: skip
    surface: str | None = option(
        None,
        "height field (.npz: heights, origin, spacing) in the file's own world, with ground none (default: the floor)",
        kind=os.fspath,
        metavar="FILE",
    )


@dataclasses.dataclass(frozen=True)
class ScoreOptions(SceneOptions):
    """Everything that decides the numbers of a score."""

    reward: str = option("feasibility", "which score", choices=REWARDS)


def parsed(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value of an option from what a caller gave.

    Raises:
        ValueError: a value that the option does not take.
    """
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"expected one of {', '.join(choices)}, found {value!r}")
    try:
        return field.metadata["kind"](value)
    except TypeError as error:  # a number where a path is wanted
        raise ValueError(f"expected text, found {value!r}") from error


def own_fields(record: type[Record]) -> list[dataclasses.Field[Any]]:
    """The options that a record adds to those of its bases."""
    inherited = {
        field.name for base in record.__mro__[1:] for field in getattr(base, "__dataclass_fields__", {}).values()
    }
    return [field for field in dataclasses.fields(record) if field.name not in inherited]  # type: ignore[arg-type]


def add_flags(parser: argparse.ArgumentParser, record: type[Record], only: tuple[str, ...] = ()) -> None:
    """A flag for each option of a record (or some of them); a group for each record it consists of, bases first."""
    for part in reversed(record.__mro__):
        fields = own_fields(part) if part is not Record and issubclass(part, Record) else []
        fields = [field for field in fields if not only or field.name in only]
        if not fields:
            continue
        title = (part.__doc__ or "").partition(".\n")[0].rstrip(".")
        group = parser.add_argument_group(title[:1].lower() + title[1:])
        for field in fields:
            facts = field.metadata
            said = "" if field.default is None else f" (default {field.default})"
            group.add_argument(
                f"--{field.name}",
                action="append" if facts["many"] else "store",
                default=field.default,
                type=str if facts["many"] else _flag_type(field),
                choices=facts["choices"] or None,
                metavar=None if facts["choices"] else facts["metavar"] or field.name.upper(),
                help=facts["help"] + said,
            )


def _flag_type(field: dataclasses.Field[Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return field.metadata["kind"](text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def values(record: type[Record]) -> dict[str, Any]:
    """The options of a record as values of a ``ConfigDict``; unset ones have a placeholder of their type."""
    from ml_collections import config_dict

    return {
        field.name: config_dict.placeholder(field.metadata["stored"]) if field.default is None else field.default
        for field in dataclasses.fields(record)  # type: ignore[arg-type]
    }


def helps(record: type[Record]) -> dict[str, str]:
    """The sentence about each option of a record, with what can be chosen."""
    rows = [(field.name, field.metadata) for field in dataclasses.fields(record)]  # type: ignore[arg-type]
    return {
        name: facts["help"] + (f": {', '.join(facts['choices'])}" if facts["choices"] else "") for name, facts in rows
    }


def define_flags(record: type[Record]) -> None:
    """The options of a record as flags of absl, for launchers without a configuration."""
    from absl import flags

    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        default: Any = field.default
        flags.DEFINE_string(field.name, default, field.metadata["help"])


def keywords(record: type[Record], source: Any) -> dict[str, Any]:
    """The options of a record that ``source`` has: another record, a configuration, or parsed flags."""
    return {f.name: getattr(source, f.name) for f in dataclasses.fields(record) if hasattr(source, f.name)}  # type: ignore[arg-type]


def record_of(record: type[R], source: Any) -> R:
    """A record from what ``keywords`` finds; the others have their defaults.

    Raises:
        ValueError: a value that its option does not take.
    """
    return record(**keywords(record, source))


def takes(record: type[Record]) -> Callable[[F], F]:
    """Decorator of a function that hands its ``**options`` to a record: its signature lists the record's options."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        fixed = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        listed = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
            for f in dataclasses.fields(record)  # type: ignore[arg-type]
        ]
        function.__signature__ = signature.replace(parameters=[*fixed, *listed])  # type: ignore[attr-defined]
        return function

    return decorate


_NAMES = {field.name for record in (ScoreOptions, FurnitureOptions) for field in dataclasses.fields(record)}


def spelt(text: str, form: str) -> str:
    """A message that names options as arguments of Python, in the words of a command line.

    Args:
        text: "fps: expected ...", or "..., or the argument fps=".
        form: how an option is given there, for example "--{}" or "--config.{}"; "" leaves the text as it is.
    """
    if not form:
        return text

    def flag(match: re.Match[str]) -> str:
        return form.format(match[1]) if match[1] in _NAMES else match[0]

    text = re.sub(r"\bthe argument (\w+)=", flag, text)
    start = re.match(r"(\w+)(?=:| ')", text)
    return form.format(start[1]) + text[start.end() :] if start and start[1] in _NAMES else text
