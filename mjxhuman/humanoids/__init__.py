"""Articulated human bodies: MuJoCo models with the anatomy MuJoCo has no place for."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from mjxhuman.bodies.smpl import body_shape, load_smpl_model
from mjxhuman.humanoids import proportions, registry, segments
from mjxhuman.humanoids.anatomy import describe
from mjxhuman.humanoids.humanoid import SMPL_BODIES, Capsules, ContactPoints, Humanoid, RangeOfMotion
from mjxhuman.humanoids.record import BodyRecord, Servo
from mjxhuman.humanoids.smpl import build_spec
from mjxhuman.humanoids.twins import ball_to_hinge_qpos, hinge_to_ball_qpos, to_ball, to_hinge

__all__ = [
    "SMPL_BODIES",
    "BodyRecord",
    "Capsules",
    "ContactPoints",
    "Humanoid",
    "RangeOfMotion",
    "Servo",
    "ball_to_hinge_qpos",
    "hinge_to_ball_qpos",
    "load_humanoid",
    "to_ball",
    "to_hinge",
]

_LAYOUTS = ("ball", "hinge")
_SEXES = (None, "female", "male")


def load_humanoid(
    name_or_mjcf_path: str | pathlib.Path = "smpl",
    *,
    mjcf: str | pathlib.Path | None = None,
    layout: str | None = None,
    stature: float | None = None,
    mass: float | None = None,
    sex: str | None = None,
    smpl_model: str | pathlib.Path | None = None,
    betas: Sequence[float] | np.ndarray | None = None,
    segment_masses: str | None = None,
) -> Humanoid:
    """A humanoid by name or from an MJCF file; equal arguments return the same object.

    Args:
        name_or_mjcf_path: "smpl", the built-in body of SMPL's topology; another body of the registry
            (``humanoids.registry``: "unitree_g1", and what was registered); or the path of an MJCF (``.xml``) file. A
            file whose bodies carry the 24 SMPL names of ``SMPL_BODIES`` becomes an SMPL humanoid with all anatomy
            tables; one with all the bodies of a registered robot becomes that; any other has a model and no tables.
            Sensors are left out.
        mjcf: path of the model of a registered body; default the one its record names.
        layout: "ball" (one ball joint per body, nq 99; the default of the built-in body) or "hinge" (three hinges per
            body, nq 76). A file keeps its own joints by default; "ball" converts one with hinge triples.

    The following shape the built-in body only:

    Args:
        stature: m; default ``proportions.DEFAULT_STATURE``, 1.71 m. The body scales uniformly.
        mass: kg; default a body mass index of 24.3 kg/m^2 (``segments.default_mass``), or with ``smpl_model`` the mesh
            volume times ``segments.BODY_DENSITY``.
        sex: segment masses of "female" or "male" adults; default the mean of both.
        smpl_model: path of the user's SMPL, SMPL-H or SMPL-X ``.npz`` file: joint offsets (symmetrised), stature and
            thickness are taken from it instead.
        betas: shape coefficients for ``smpl_model``; default zeros.
        segment_masses: with ``smpl_model``: "tables" (default) or "mesh", which shares the mass out by mesh volume.

    Raises:
        FileNotFoundError: the MJCF or SMPL file does not exist.
        ValueError: unknown name, an option out of range or not meant for this body, a file that cannot be read, or an
            SMPL-named file with bodies missing.
    """
    name = str(name_or_mjcf_path)
    options = {
        "stature": stature, "mass": mass, "sex": sex, "smpl_model": smpl_model, "betas": betas,
        "segment_masses": segment_masses,
    }  # fmt: skip
    given = [key for key, value in options.items() if value is not None]
    if layout not in (None, *_LAYOUTS):
        raise ValueError(f"layout: expected one of {_LAYOUTS}, found {layout!r}")
    if mjcf is not None and (name == "smpl" or name.endswith(".xml")):
        raise ValueError(f"{name}: mjcf: expected beside the name of a registered robot, found {str(mjcf)!r}")
    if name == "smpl":
        _check_options(options)
        if smpl_model is None:
            return _builtin(layout or "ball", stature, mass, sex)
        path = _existing(smpl_model, "SMPL model")
        coefficients = () if betas is None else tuple(float(b) for b in np.asarray(betas, float).reshape(-1))
        key = (str(path), path.stat().st_mtime_ns)
        return _from_shape(key, coefficients, layout or "ball", mass, sex, segment_masses or "tables")
    record = registry.find(name) if name in registry.registered() else None
    if record is None and not name.endswith(".xml"):
        known = ", ".join(registry.registered())
        raise ValueError(f"humanoid {name!r}: expected one of {known}, or the path of an MJCF file ending in .xml")
    if given:
        raise ValueError(f"{name}: the options {', '.join(given)} shape the built-in body 'smpl', not an MJCF file")
    file = name if record is None else mjcf or record.mjcf
    if file is None:
        raise ValueError(f"humanoid {name!r}: expected mjcf=, the path of its model, found none")
    path = _existing(file, "MJCF")
    humanoid = _from_file(str(path), path.stat().st_mtime_ns, record)
    if layout in (None, humanoid.layout):
        return humanoid
    if layout == "ball":
        return to_ball(humanoid)
    raise ValueError(f"{name}: layout: expected None or {humanoid.layout!r}, the file's own, found {layout!r}")


def _existing(path: str | pathlib.Path, kind: str) -> pathlib.Path:
    resolved = pathlib.Path(path).expanduser().resolve()
    if not resolved.is_file():
        raise FileNotFoundError(f"{resolved}: no such {kind} file")
    return resolved


def _check_options(options: dict[str, Any]) -> None:
    """Raise ValueError for a value out of range or a combination that makes no sense."""
    for key in ("stature", "mass"):
        value = options[key]
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{key}: expected a positive number, found {value!r}")
    if options["sex"] not in _SEXES:
        raise ValueError(f"sex: expected one of {_SEXES}, found {options['sex']!r}")
    if options["segment_masses"] not in (None, "tables", "mesh"):
        raise ValueError(f"segment_masses: expected 'tables' or 'mesh', found {options['segment_masses']!r}")
    if options["smpl_model"] is None:
        for key in ("betas", "segment_masses"):
            if options[key] is not None:
                raise ValueError(f"{key}: needs smpl_model, the path of your SMPL .npz file")
    elif options["stature"] is not None:
        raise ValueError("stature: follows from smpl_model and betas; expected None beside them")


@functools.lru_cache(maxsize=64)
def _builtin(layout: str, stature: float | None, mass: float | None, sex: str | None) -> Humanoid:
    shape = proportions.scaled(stature or proportions.DEFAULT_STATURE)
    mass = mass or segments.default_mass(shape.stature, sex)
    return describe(build_spec(shape, segments.body_inertias(shape, mass, sex), layout), "smpl", shape.stature)


@functools.lru_cache(maxsize=64)
def _from_shape(
    file: tuple[str, int], betas: tuple[float, ...], layout: str, mass: float | None, sex: str | None, masses: str
) -> Humanoid:
    body = body_shape(load_smpl_model(file[0]), betas)
    mass = mass or body.volume * segments.BODY_DENSITY
    table_volume = segments.default_mass(proportions.DEFAULT_STATURE) / segments.BODY_DENSITY
    girth = math.sqrt(body.volume / body.stature / (table_volume / proportions.DEFAULT_STATURE))
    joints = dict(zip(SMPL_BODIES, body.joints, strict=True))
    shape = proportions.from_joints(joints, body.stature, body.sole, girth)
    inertias = segments.body_inertias(shape, mass, sex)
    if masses == "mesh":
        volumes = dict(zip(SMPL_BODIES, body.segment_volumes, strict=True))
        inertias = segments.redistributed(inertias, volumes)
    return describe(build_spec(shape, inertias, layout), "smpl", body.stature)


def _from_file(path: str, modified: int, record: BodyRecord | None) -> Humanoid:
    """The humanoid of a file, the same object by its name and by its path."""
    names = [body.name for body in _spec(path, modified).bodies]
    missing = [] if record is None else [body for body in record.bodies if body not in names]
    if record is not None and missing:
        raise ValueError(f"{path}: expected the bodies of {record.name!r}, missing: {', '.join(missing)}")
    return _described(path, modified, record or registry.recognise(names))


@functools.lru_cache(maxsize=16)
def _described(path: str, modified: int, record: BodyRecord | None) -> Humanoid:
    found = describe(_spec(path, modified), pathlib.Path(path).stem, record=record)
    return dataclasses.replace(found, source=path)


@functools.lru_cache(maxsize=16)
def _spec(path: str, _modified: int) -> mujoco.MjSpec:
    try:
        spec = mujoco.MjSpec.from_file(path)
        for sensor in spec.sensors:  # never read, and published robot files name sites that they lack
            spec.delete(sensor)
        spec.compile()
    except ValueError as error:
        raise ValueError(f"{path}: MuJoCo cannot read this MJCF file: {error}") from error
    return spec
