"""C3D: markers and force plates of a motion laboratory (c3d.org). Needs the extra ``mjxhuman[c3d]`` (ezc3d).

Points of one file may belong to several subjects or objects (``Anna:LKNE``, ``box:front``): those of the subject with
the most markers of known names are kept. Read with real files of Vicon and Qualisys conventions in mind: millimetres,
z up unless ``POINT:Y_SCREEN`` says otherwise.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.joint_names import marker_bodies, smpl_joint_map
from mjxhuman.data.source import Source, up_rotation
from mjxhuman.data.text import is_usable
from mjxhuman.options import UNITS
from mjxhuman.runs import optional
from mjxhuman.types import PointMotion


@dataclasses.dataclass(frozen=True)
class ForcePlates:
    """What force plates measured: forces on the body, z up, to compare estimated forces with; S samples, P plates."""

    force: np.ndarray  # (S, P, 3) N
    centre: np.ndarray  # (S, P, 3) m, centre of pressure; NaN while nothing stands on the plate
    moment: np.ndarray  # (S, P) N m, free moment about the vertical
    fps: float  # samples per second


def is_c3d(source: Source) -> bool:
    """Whether the header block of a C3D file is there: a pointer, the key 0x50, a parameter section where it points."""
    head = source.head
    if len(head) < 512 or head[1] != 0x50 or not 2 <= head[0] < 0x50:
        return False
    at = 512 * (head[0] - 1)
    return len(head) <= at + 3 or head[at + 3] in (84, 85, 86)  # Intel, DEC or MIPS numbers


def read_c3d(source: Source) -> PointMotion:
    """Markers of a C3D file; points that were not seen are invalid and 0.

    Raises:
        ModuleNotFoundError: ezc3d is not installed.
        MotionFileError: no loadable C3D, no points, no frame rate, an unknown unit.
    """
    content = _load(source, plates=False)
    parameters, data = content["parameters"]["POINT"], content["data"]["points"]
    labels = [name.strip() for key in _label_keys(parameters) for name in parameters[key]["value"]]
    if data.shape[1] == 0 or data.shape[2] == 0 or len(labels) < data.shape[1]:
        raise source.error("POINT:LABELS", f"{len(labels)} for {data.shape[1:]} points and frames", "labelled points")
    columns = _subject(source, labels[: data.shape[1]])
    points = np.moveaxis(data[:3, columns], 0, -1).swapaxes(0, 1)  # (T, K, 3)
    seen = is_usable(points).all(-1)
    seen &= ~(seen & (points == 0.0).all(-1))  # the exact origin is how older writers say it
    fps = source.frame_rate(_first(parameters, "RATE"))
    metres = source.metres_per_unit(_unit(source, parameters))
    to_world = source.up_axis(_up(parameters), "z", "C3D files of motion laboratories have z up")
    names = tuple(labels[k] for k in columns)
    return PointMotion(
        pos=np.where(seen[..., None], points, 0.0) @ (metres * to_world.T),
        valid=seen,
        fps=fps,
        names=names,
        kind="joints" if 2 * len(smpl_joint_map(names)) >= len(names) else "markers",
        provenance=source.provenance("C3D"),
    )


def read_force_plates(path: str | Path, up: str = "z") -> ForcePlates:
    """Forces of the plates of a C3D file, turned so that they act on the body and z is up.

    Args:
        path: of the file. up: its upward axis.

    Raises:
        ModuleNotFoundError: ezc3d is not installed.
        MotionFileError: no loadable C3D, or no force plate in it.
    """
    source = Source(Path(path))
    content = _load(source, plates=True)
    plates = content["data"].get("platform", [])
    if not plates:
        raise source.error("FORCE_PLATFORM", "no force plate", "one or more")
    to_world = up_rotation(up)
    force = np.stack([to_world @ plate["force"] for plate in plates], 1)  # (3, P, S)
    force = np.moveaxis(force, 0, -1).swapaxes(0, 1)
    # some files state what acts on the plate: a floor never pulls
    force = force * np.where(force[..., 2].sum(0) < 0, -1.0, 1.0)[:, None]
    scale = [_metres(source, "FORCE_PLATFORM:UNITS", plate["unit_position"]) for plate in plates]
    centre = np.stack([s * to_world @ plate["center_of_pressure"] for s, plate in zip(scale, plates, strict=True)], 1)
    centre = np.moveaxis(centre, 0, -1).swapaxes(0, 1)
    moment = np.stack([s * plate["Tz"][2] for s, plate in zip(scale, plates, strict=True)], -1)
    centre = np.where((force[..., 2] > 0)[..., None] & np.isfinite(centre), centre, np.nan)
    fps = _first(content["parameters"]["ANALOG"], "RATE")
    if fps is None:
        raise source.error("ANALOG:RATE", "no rate", "samples per second")
    return ForcePlates(np.nan_to_num(force), centre, np.nan_to_num(moment), fps)


def _load(source: Source, plates: bool) -> Any:
    ezc3d = optional("ezc3d", "c3d", f"{source.path}: a C3D file")
    try:
        return ezc3d.c3d(str(source.path), extract_forceplat_data=plates)
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, MemoryError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise source.error("file", f"no loadable C3D file ({reason})", "a whole one") from None


def _label_keys(parameters: Any) -> list[str]:
    return [key for key in ("LABELS", *(f"LABELS{k}" for k in range(2, 10))) if key in parameters]


def _subject(source: Source, labels: list[str]) -> list[int]:
    """Columns of the subject with the most markers of known names; unlabelled and repeated points are left out."""
    groups: dict[str, list[int]] = {}
    taken: set[str] = set()
    for k, label in enumerate(labels):
        if not label or label.startswith("*") or label in taken:
            continue
        taken.add(label)
        groups.setdefault(label.rpartition(":")[0], []).append(k)
    if not groups:
        raise source.error("POINT:LABELS", "no label", "labelled points")
    known = {name: len(marker_bodies([labels[k] for k in columns])) for name, columns in groups.items()}
    best = max(groups, key=lambda name: (known[name], len(groups[name])))
    others = [name or "points without a prefix" for name in groups if name != best]
    if others:
        source.note(f"markers of {best or 'no prefix'} are used, those of {', '.join(others)[:80]} are not")
    return groups[best]


def _first(parameters: Any, key: str) -> float | None:
    values = np.ravel(parameters[key]["value"]) if key in parameters else []
    return float(values[0]) if len(values) and np.isfinite(values[0]) and values[0] > 0 else None


def _unit(source: Source, parameters: Any) -> float | None:
    values = parameters["UNITS"]["value"] if "UNITS" in parameters else []
    text = values[0].strip().lower() if len(values) else ""
    if not text:
        source.note("POINT:UNITS is empty, 1 length unit is 0.001 m: C3D files are in millimetres unless they say")
        return UNITS["mm"]
    return _metres(source, "POINT:UNITS", text)


def _metres(source: Source, field: str, text: str) -> float:
    text = text.strip().lower() or "mm"
    if text not in ("m", "cm", "mm"):
        raise source.error(field, repr(text[:20]), "m, cm or mm, or the argument unit=")
    return UNITS[text]


def _up(parameters: Any) -> str | None:
    """What ``POINT:Y_SCREEN``, the axis that points up on the screen, says."""
    values = parameters["Y_SCREEN"]["value"] if "Y_SCREEN" in parameters else []
    text = values[0].strip().lower().removeprefix("+") if len(values) else ""
    return text if text in ("x", "y", "z", "-x", "-y", "-z") else None
