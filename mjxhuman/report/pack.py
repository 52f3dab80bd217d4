"""Turns motions, scores and dynamics into the compact JSON that the report page reads.

Arrays travel as base64 of little-endian uint16 with one offset and one step (``encode_array``): half the size of
float32 and, over a 10 m walk, 0.2 mm fine. Clips longer than ``max_frames`` keep every k-th frame for playback;
per-frame scores keep the worst of each k frames.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Any

import mujoco
import numpy as np
from scipy.spatial import ConvexHull

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math.timeseries import runs
from mjxhuman.physics.contact_points import REACH
from mjxhuman.report import glossary
from mjxhuman.report.carriers import carriers
from mjxhuman.report.film import FilmStrip
from mjxhuman.scenes.sdf import scene_surface
from mjxhuman.scenes.surface import Plane, Surface, height_below
from mjxhuman.scenes.types import Scene, SceneObject
from mjxhuman.types import Dynamics, Motion, Scores

#: m; a contact point this close to the floor carries load, and is drawn as a corner of the support polygon.
SUPPORT_HEIGHT = REACH
#: m around a path over which its ground is drawn, and the most nodes of its grid on a side.
GROUND_MARGIN, GROUND_NODES = 2.0, 160
_NAN = 65535
#: Curves made from ``Dynamics``; they have the names of the same quantities in ``Scores``.
DYNAMICS_SERIES = ("floating_bw", "residual_torque", "external_support", "power_w_per_kg")

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ClipReport:
    """One clip of a report: unbatched scores and, for playback and charts, the motion and its dynamics.

    ``notes`` are sentences shown under the clip's title (where it stands among clean motion, what was damaged, ...);
    ``film`` is the video that the motion was recovered from, shown beside the body; ``surface`` what the motion was
    scored on, drawn below it (None: the level floor). ``scene`` is furniture around it, its floor then the surface,
    and ``object_poses`` (T, O, 7) where that is in each frame (None: where the scene has it).
    """

    name: str
    scores: Scores
    motion: Motion | None = None
    dynamics: Dynamics | None = None
    notes: tuple[str, ...] = ()
    film: FilmStrip | None = None
    surface: Surface | None = None
    scene: Scene | None = None
    object_poses: np.ndarray | None = None


def encode_array(values: np.ndarray) -> Json:
    """Any real array as ``{"data": base64, "low", "step", "shape"}``; non-finite entries become NaN."""
    x = np.asarray(values, np.float64)
    finite = np.isfinite(x)
    low, high = (float(x[finite].min()), float(x[finite].max())) if finite.any() else (0.0, 0.0)
    step = (high - low) / (_NAN - 1) or 1.0
    codes = np.where(finite, np.rint((np.where(finite, x, low) - low) / step), _NAN).astype("<u2")
    return {"data": base64.b64encode(codes.tobytes()).decode(), "low": low, "step": step, "shape": list(x.shape)}


def decode_array(packed: Json) -> np.ndarray:
    """Inverse of ``encode_array``, exact to half a step."""
    codes = np.frombuffer(base64.b64decode(packed["data"]), "<u2").reshape(packed["shape"])
    return np.where(codes == _NAN, np.nan, packed["low"] + packed["step"] * codes.astype(np.float64))


def side_of(name: str) -> str:
    """ "left", "right" or "" from a body's name."""
    lower = name.lower()
    if lower.startswith(("l_", "left")):
        return "left"
    return "right" if lower.startswith(("r_", "right")) else ""


def label_of(name: str) -> str:
    """``L_Hip`` -> ``L Hip``."""
    return name.replace("_", " ")


def drawable_geoms(model: mujoco.MjModel) -> list[int]:
    """Ids of the geoms that make up the body: not the world's, and only visual ones (groups 0-2) if there are any."""
    geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] > 0 and model.geom_type[g] != 0]
    visual = [g for g in geoms if model.geom_group[g] <= 2]
    return visual or geoms


def geom_shape(model: mujoco.MjModel, geom: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Shape, size (3,) m, position (3,) m and quaternion (4,) in the body frame; a mesh becomes its bounding box."""
    kind = mujoco.mjtGeom(int(model.geom_type[geom])).name.removeprefix("mjGEOM_").lower()
    size, pos, quat = (np.array(a[geom], float) for a in (model.geom_size, model.geom_pos, model.geom_quat))
    if kind not in ("sphere", "capsule", "ellipsoid", "cylinder", "box"):
        rotated = np.zeros(3)
        mujoco.mju_rotVecQuat(rotated, np.array(model.geom_aabb[geom, :3], float), quat)
        kind, size, pos = "box", np.array(model.geom_aabb[geom, 3:], float), pos + rotated
    return kind, size, pos, quat


def humanoid_payload(humanoid: Humanoid) -> Json:
    """Shapes, names and contact points of a body."""
    model = humanoid.model
    geoms = []
    for geom in drawable_geoms(model):
        kind, size, pos, quat = geom_shape(model, geom)
        body = int(model.geom_bodyid[geom])
        geoms.append(
            {"kind": kind, "size": _round(size), "pos": _round(pos), "quat": _round(quat), "body": body}
            | {"side": side_of(humanoid.body_names[body])}
        )
    contacts = humanoid.contacts
    return {
        "name": humanoid.name,
        "layout": humanoid.layout,
        "stature": float(humanoid.stature),
        "mass": float(humanoid.mass),
        "bodies": [label_of(n) for n in humanoid.body_names],
        "root": 1,
        "geoms": geoms,
        "supportHeight": SUPPORT_HEIGHT,
        "contacts": None
        if contacts is None
        else {
            "body": contacts.body_id.tolist(),
            "offset": _round(contacts.offset),
            "radius": _round(contacts.radius),
            "group": contacts.group.tolist(),
            "foot": np.asarray(contacts.is_foot).astype(int).tolist(),
        },
    }


def _round(values: Any) -> Any:
    return np.round(np.asarray(values, float), 5).tolist()


def _number(value: Any) -> float | None:
    x = float(np.asarray(value))
    return x if math.isfinite(x) else None


def scores_payload(scores: Scores) -> Json:
    """Clip-level numbers; NaN becomes null.

    Raises:
        ValueError: if the scores are batched.
    """
    if np.ndim(scores.total) != 0:
        raise ValueError(f"Scores.total: expected one clip (shape ()), found shape {np.shape(scores.total)}")
    valid = bool(np.asarray(scores.valid))
    reason = scores.reason if isinstance(scores.reason, str) else " ".join(scores.reason)
    return {
        "reward": scores.reward,
        "total": _number(scores.total),
        "axes": {k: _number(v) for k, v in scores.axes.items()},
        "terms": {k: _number(scores.terms[k]) for k in glossary.order_terms(list(scores.terms))},
        "valid": valid,
        "reason": "" if valid else reason.removeprefix("not scored: ") or "no reason given",
    }


def torque_share(humanoid: Humanoid, joint_torque: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Torque in percent of the limit in its direction: largest over the axes, (T, K), for K body ids with a limit."""
    limit = humanoid.torque_limit
    if limit is None:
        return np.zeros((len(joint_torque), 0)), []
    bodies = [b for b in range(1, humanoid.nbody) if np.all(np.isfinite(limit[b])) and np.all(limit[b, :, 1] > 0)]
    tau, low, high = joint_torque[:, bodies], limit[bodies, :, 0], limit[bodies, :, 1]
    return 100.0 * np.max(np.where(tau >= 0, tau / high, tau / low), axis=-1, initial=0.0), bodies


def _pool_worst(values: np.ndarray, stride: int, better: str) -> np.ndarray:
    """One value per ``stride`` frames: the worst where the direction is known, else the frame that is played."""
    if stride == 1 or better not in ("higher", "lower"):
        return values[::stride]
    fill = np.inf if better == "higher" else -np.inf
    pad = -len(values) % stride
    x = np.concatenate([np.where(np.isnan(values), fill, values), np.full((pad, *values.shape[1:]), fill)])
    x = x.reshape(-1, stride, *values.shape[1:])
    worst = x.min(axis=1) if better == "higher" else x.max(axis=1)
    return np.where(np.isinf(worst), np.nan, worst)


def dynamics_payload(motion: Motion, dynamics: Dynamics, stride: int, surface: Surface | None = None) -> Json:
    """Torque shares, contact forces in body weights, what carries the body, what no contact explains, power."""
    humanoid = motion.humanoid
    weight = humanoid.weight
    share, bodies = torque_share(humanoid, np.asarray(dynamics.joint_torque, float))
    residual = np.asarray(dynamics.residual, float)

    curves = (
        np.linalg.norm(residual[:, :3], axis=-1) / weight,
        np.linalg.norm(residual[:, 3:], axis=-1),
        np.asarray(dynamics.external_support, float),
        np.asarray(dynamics.power, float) / humanoid.mass,
    )
    return {
        "torque": encode_array(np.minimum(_pool_worst(share, stride, "lower"), 1000.0)),
        "torqueBodies": bodies,
        "torquePeak": _round(share.max(axis=0, initial=0.0)),
        "grf": encode_array(np.asarray(dynamics.grf, float)[::stride] / weight),
        "cop": encode_array(np.asarray(dynamics.cop, float)[::stride]),
        "contactNames": [label_of(n) for n in dynamics.contact_names],
        "contactSides": [side_of(n) for n in dynamics.contact_names],
        "com": encode_array(np.asarray(dynamics.com, float)[::stride]),
        "carrier": None
        if humanoid.contacts is None
        else _pool_worst(carriers(motion, dynamics, surface).astype(float), stride, "lower").astype(int).tolist(),
        "series": {
            name: encode_array(_pool_worst(curve, stride, glossary.entry(name).better))
            for name, curve in zip(DYNAMICS_SERIES, curves, strict=True)
        },
    }


def worst_moments(scores: Scores) -> list[Json]:
    """For every term with a direction and per-frame values, its worst frame: ``{name, frame, value}``, worst first."""
    found = []
    for name in glossary.order_terms(list(scores.frames)):
        entry = glossary.entry(name)
        values = np.asarray(scores.frames[name], float)
        if not entry.better or values.ndim != 1 or not np.isfinite(values).any():
            continue
        frame = int(np.nanargmin(values) if entry.better == "higher" else np.nanargmax(values))
        found.append({"name": name, "frame": frame, "value": float(values[frame]), "score": entry.is_score})
    return sorted(found, key=lambda m: (not m["score"], -_badness(m)))


def _badness(moment: Json) -> float:
    return 1.0 - moment["value"] if glossary.entry(moment["name"]).better == "higher" else moment["value"]


def invalid_ranges(valid: np.ndarray) -> list[list[int]]:
    """First frame and the one after the last of every run of invalid frames."""
    return [list(run) for run in runs(~valid)]


def motion_payload(clip: ClipReport, max_frames: int) -> Json:
    """Body poses, per-frame scores and dynamics of one clip, every k-th frame where it is longer than ``max_frames``.

    Raises:
        ValueError: if the motion is batched or a per-frame score has another length.
    """
    motion, scores = clip.motion, clip.scores
    assert motion is not None
    pos, quat = np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float)
    if pos.ndim != 3:
        raise ValueError(f"{clip.name}: Motion.body_pos: expected shape (T, B, 3), found {pos.shape}")
    frames = len(pos)
    stride = max(1, math.ceil(frames / max_frames))
    series = {}
    for name in glossary.order_terms(list(scores.frames)):
        values = np.asarray(scores.frames[name], float)
        if values.shape != (frames,):
            raise ValueError(f"{clip.name}: Scores.frames[{name!r}]: expected shape ({frames},), found {values.shape}")
        series[name] = encode_array(_pool_worst(values, stride, glossary.entry(name).better))
    payload: Json = {
        "frames": frames,
        "stride": stride,
        "dt": float(motion.dt),
        "pos": encode_array(pos[::stride]),
        "quat": encode_array(quat[::stride]),
        "series": series,
        "worst": worst_moments(scores),
        "gaps": invalid_ranges(np.asarray(motion.valid, bool)),
        "com": encode_array(motion.humanoid.centre_of_mass(pos[::stride], quat[::stride])),
        "dynamics": None,
        "film": film_payload(clip.film, stride) if clip.film is not None else None,
        "ground": ground_payload(clip.surface if clip.scene is None else clip.scene.floor, pos[:, 1:]),
        "furniture": [] if clip.scene is None else furniture_payload(clip.scene, clip.object_poses, frames, stride),
    }
    if clip.dynamics is not None:
        surface = clip.surface if clip.scene is None else scene_surface(clip.scene)
        payload["dynamics"] = dynamics_payload(motion, clip.dynamics, stride, surface)
    return payload


def furniture_payload(scene: Scene, poses: np.ndarray | None, frames: int, stride: int) -> list[Json]:
    """Each object's convex pieces, corners of triangles seen from outside, and its pose in every shown frame."""
    if poses is None:
        poses = np.broadcast_to(scene.poses, (frames, *np.shape(scene.poses)))
    if np.shape(poses) != (frames, len(scene.objects), 7):
        raise ValueError(f"object_poses: expected {(frames, len(scene.objects), 7)}, found {np.shape(poses)}")
    shown = np.asarray(poses, float)[::stride]
    return [
        {
            "name": thing.name,
            "corners": encode_array(_triangles(thing)),
            "pos": encode_array(shown[:, i, :3]),
            "quat": encode_array(shown[:, i, 3:]),
        }
        for i, thing in enumerate(scene.objects)
    ]


def _triangles(thing: SceneObject) -> np.ndarray:
    """Corners (N, 3) of the pieces' triangles, three after three, counter-clockwise from outside, object frame."""
    found = []
    for vertices, own in zip(np.asarray(thing.parts.vertices, float), np.asarray(thing.parts.mask), strict=True):
        if own:
            hull = ConvexHull(vertices)
            corners = vertices[hull.simplices]
            normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            inward = np.einsum("fi,fi->f", normal, hull.equations[:, :3]) < 0
            corners[inward] = corners[inward][:, ::-1]
            found.append(corners.reshape(-1, 3))
    return np.concatenate(found)


def ground_payload(surface: Surface | None, pos: np.ndarray) -> Json | None:
    """``ground_grid`` for the page."""
    grid = ground_grid(surface, pos)
    if grid is None:
        return None
    origin, step, heights = grid
    return {"origin": _round(origin.tolist()), "step": step, "heights": encode_array(heights)}


def ground_grid(
    surface: Surface | None, pos: np.ndarray, nodes: int = GROUND_NODES
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Heights (X, Y) m of the surface, seen from above, on a grid of at most ``nodes`` a side around body positions
    (T, B, 3); None for the floor.

    Returns:
        x and y (2,) m of the first node, the distance (m) of nodes, and heights: NaN where there is nothing below.
    """
    if surface is None or (isinstance(surface, Plane) and surface.normal is None and surface.point is None):
        return None
    low, high = (f(pos[..., :2], axis=(0, 1)) for f in (np.min, np.max))
    step = max(0.02, float((high - low + 2 * GROUND_MARGIN).max()) / (nodes - 1))
    x, y = (np.arange(a - GROUND_MARGIN, b + GROUND_MARGIN + step, step) for a, b in zip(low, high, strict=True))
    heights = height_below(surface, np.stack(np.meshgrid(x, y, indexing="ij"), -1), float(pos[..., 2].max()) + 0.5)
    return np.array([x[0], y[0]]), step, heights


def film_payload(film: FilmStrip, stride: int) -> Json:
    """Pictures in base64, and skeletons in their pixels at the frames that are played."""
    return {
        "pictures": [base64.b64encode(picture).decode() for picture in film.pictures],
        "stride": film.stride,
        "size": list(film.size),
        "layers": [
            {
                "name": layer.name,
                "points": encode_array(layer.points[::stride]),
                "edges": [list(edge) for edge in layer.edges],
            }
            for layer in film.layers
        ],
    }


def provenance_payload(motion: Motion) -> Json:
    """Where the motion came from, as label and text pairs."""
    p, humanoid = motion.provenance, motion.humanoid
    rows = [
        ("File", p.path),
        ("Format", p.format),
        ("Licence", p.licence),
        ("Clip", f"{motion.num_frames} frames at {motion.fps:.4g} fps, {(motion.num_frames - 1) * motion.dt:.2f} s"),
        ("Body", f"{humanoid.name}, {humanoid.layout} joints, {humanoid.stature:.2f} m, {humanoid.mass:.1f} kg"),
        ("Ground step", p.ground + (f", moved by {1000 * p.ground_offset:+.1f} mm" if p.ground != "none" else "")),
    ]
    lists = [("Conventions", list(p.conventions)), ("Retargeting", list(p.retarget))]
    return {"rows": [[k, v] for k, v in rows if v], "lists": [[k, v] for k, v in lists if v]}
