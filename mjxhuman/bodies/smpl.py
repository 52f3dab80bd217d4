"""The user's SMPL, SMPL-H or SMPL-X model file: rest joints, stature and volume of a body shape.

Model files are licensed by the Max Planck Institute and not part of this project: download them from
https://smpl.is.tue.mpg.de, https://mano.is.tue.mpg.de (SMPL-H) or https://smpl-x.is.tue.mpg.de.
Lengths in metres, SMPL frames (x left, y up, z forward), T-pose.
"""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

#: Joints of each model that stand for SMPL's 24, SMPL order. The hand joint of models with fingers is the base of the
#: middle finger.
_JOINTS = {
    "SMPL": (24, (*range(24),)),
    "SMPL-H": (52, (*range(22), 25, 40)),
    "SMPL-X": (55, (*range(22), 28, 43)),
}  # fmt: skip

_KEYS = ("v_template", "shapedirs", "J_regressor", "weights", "kintree_table", "f")


@dataclasses.dataclass(frozen=True, eq=False)
class SmplModel:
    """Arrays of a model file: V vertices, K joints, F faces, S shape coefficients."""

    path: str
    kind: str  # "SMPL", "SMPL-H" or "SMPL-X"
    template: np.ndarray  # (V, 3) m
    shape_directions: np.ndarray  # (V, 3, S) m
    joint_regressor: np.ndarray  # (K, V)
    weights: np.ndarray  # (V, K) skinning weights
    parents: np.ndarray  # (K,) int, -1 for the root
    faces: np.ndarray  # (F, 3) int


@dataclasses.dataclass(frozen=True, eq=False)
class BodyShape:
    """One person's T-pose: SMPL's 24 joints and what the mesh says about size."""

    joints: np.ndarray  # (24, 3) m
    stature: float  # m, lowest to highest vertex
    sole: float  # m, height (y) of the lowest vertex
    volume: float  # m^3
    segment_volumes: np.ndarray  # (24,) m^3, they add up to ``volume``


def load_smpl_model(path: str | pathlib.Path) -> SmplModel:
    """Read a model file.

    Args:
        path: ``.npz`` file with the arrays v_template, shapedirs, J_regressor, weights, kintree_table and f.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a readable npz, an array missing, holding Python objects or of an unexpected shape; the message
            names file, array, expected and found.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such SMPL model file")
    if path.suffix != ".npz":
        raise ValueError(
            f"{path}: expected an .npz file. Opening a .pkl can run any code, so it is not read here; convert one you "
            f"trust in Python: d = pickle.load(open('model.pkl', 'rb'), encoding='latin1') (needs scipy and chumpy), "
            f"then numpy.savez('model.npz', **{{k: numpy.asarray(d[k].toarray() if hasattr(d[k], 'toarray') else d[k]) "
            f"for k in {(*_KEYS, 'posedirs')}}})"
        )
    arrays = read_arrays(path, _KEYS)
    vertices, joints = arrays["v_template"].shape[0], arrays["J_regressor"].shape[0]
    kind = next((name for name, (count, _) in _JOINTS.items() if count == joints), None)
    if kind is None:
        raise ValueError(f"{path}: J_regressor: expected 24, 52 or 55 joints (SMPL, SMPL-H, SMPL-X), found {joints}")
    expected = {
        "v_template": (vertices, 3), "J_regressor": (joints, vertices), "weights": (vertices, joints),
        "kintree_table": (2, joints), "f": (arrays["f"].shape[0], 3),
        "shapedirs": (vertices, 3, *arrays["shapedirs"].shape[2:3]),
    }  # fmt: skip
    for key, shape in expected.items():
        if len(shape) < 2 + (key == "shapedirs") or arrays[key].shape != shape:
            raise ValueError(f"{path}: {key}: expected shape {shape}, found {arrays[key].shape}")
    faces = arrays["f"].astype(np.int64)
    if faces.size and not (faces.min() >= 0 and faces.max() < vertices):
        raise ValueError(f"{path}: f: expected vertex indices below {vertices}, found {faces.min()} to {faces.max()}")
    parents = arrays["kintree_table"][0].astype(np.int64)
    parents[0] = -1  # files write the root's parent as 2^32 - 1
    if not np.all((parents[1:] >= 0) & (parents[1:] < np.arange(1, joints))):
        raise ValueError(f"{path}: kintree_table: expected each joint's parent before it, found {parents.tolist()}")
    return SmplModel(
        str(path),
        kind,
        arrays["v_template"],
        arrays["shapedirs"],
        arrays["J_regressor"],
        arrays["weights"],
        parents,
        faces,
    )


def read_arrays(path: pathlib.Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The named arrays of a model file as float64, never unpickling.

    Raises:
        ValueError: not a readable npz, an array missing, holding Python objects or numbers that are not finite.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a readable npz file: expected a zip archive of arrays")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file.files]
            if missing:
                names = ", ".join(keys)
                raise ValueError(f"{path}: not an SMPL model file: expected {names}; missing {', '.join(missing)}")
            arrays = {}
            for key in keys:
                try:
                    arrays[key] = np.asarray(file[key], dtype=np.float64)
                except ValueError as error:
                    raise ValueError(
                        f"{path}: {key}: expected a plain array of numbers ({error}); save it with numpy.asarray, "
                        "a sparse J_regressor with .toarray()"
                    ) from error
                if arrays[key].ndim == 0:
                    raise ValueError(f"{path}: {key}: expected an array, found a single value")
                if key != "kintree_table" and not np.isfinite(arrays[key]).all():
                    raise ValueError(f"{path}: {key}: expected finite numbers, found NaN or infinity")
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a readable npz file: {error}") from error


def body_shape(model: SmplModel, betas: Sequence[float] | np.ndarray = ()) -> BodyShape:
    """Joints, stature and volumes of the shape ``betas``.

    Args:
        model: from ``load_smpl_model``.
        betas: (S') shape coefficients, S' not above what the file has; missing ones are 0. SMPL-X files also hold
            expressions behind the shape directions (after 300 of 400, or after 10 of 20): those are not shape.

    Raises:
        ValueError: too many coefficients, or not finite.
    """
    betas = np.asarray(betas, dtype=np.float64).reshape(-1)
    available = shape_count(model)
    if len(betas) > available or not np.isfinite(betas).all():
        raise ValueError(f"{model.path}: betas: expected at most {available} finite numbers, found {betas.tolist()}")
    vertices = model.template + model.shape_directions[..., : len(betas)] @ betas
    joints = model.joint_regressor @ vertices
    segments = segment_volumes(vertices, model.faces, _segment_of_vertex(model))
    height = vertices[:, 1]
    return BodyShape(
        joints=joints[list(_JOINTS[model.kind][1])],
        stature=float(height.max() - height.min()),
        sole=float(height.min()),
        volume=float(segments.sum()),
        segment_volumes=segments,
    )


def shape_count(model: SmplModel) -> int:
    """How many of the file's directions are shape; in SMPL-X files those behind them are expressions."""
    count = model.shape_directions.shape[2]
    return {400: 300, 20: 10}.get(count, count) if model.kind == "SMPL-X" else count


def _segment_of_vertex(model: SmplModel) -> np.ndarray:
    """Which of SMPL's 24 joints carries each vertex most, (V,); fingers count as the hand, jaw and eyes as the head."""
    kept = list(_JOINTS[model.kind][1])
    owner = np.full(len(model.parents), -1)
    owner[kept] = np.arange(24)
    for joint, parent in enumerate(model.parents):
        if owner[joint] < 0:
            owner[joint] = owner[parent]
    hands = {20: 22, 21: 23}  # a finger hangs on the wrist, but its flesh is the hand's
    for joint in range(len(owner)):
        if joint not in kept and owner[joint] in hands:
            owner[joint] = hands[int(owner[joint])]
    return owner[np.argmax(model.weights, axis=1)]


def segment_volumes(vertices: np.ndarray, faces: np.ndarray, segment: np.ndarray, count: int = 24) -> np.ndarray:
    """Volume enclosed by each segment's part of a closed mesh, (count,) m^3; they add up to that of the mesh.

    Args:
        vertices: (V, 3) m.
        faces: (F, 3) vertex indices, counter-clockwise from outside.
        segment: (V,) segment of each vertex; a face belongs to that of its first vertex.
        count: number of segments.

    Where two segments meet, both are closed by the same fan of triangles about the middle of their common border, so
    that what one gains the other loses. Openings of the mesh itself are closed likewise.
    """
    owner = segment[faces[:, 0]]
    origin = vertices.mean(axis=0)

    def signed(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.einsum("...i,...i", a - origin, np.cross(b - origin, c - origin)) / 6.0

    volumes = np.bincount(owner, signed(*(vertices[faces[:, k]] for k in range(3))), minlength=count)
    neighbour: dict[tuple[int, int], int] = {}
    for face, home in zip(faces, owner, strict=True):
        for k in range(3):
            neighbour[int(face[k]), int(face[(k + 1) % 3])] = int(home)
    borders: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (a, b), home in neighbour.items():
        other = neighbour.get((b, a), -1)
        if other != home:
            borders.setdefault((home, other), []).append((b, a))  # the cap runs against the patch's own edge
    for (home, _), edges in borders.items():
        edge = np.array(edges)
        middle = vertices[np.unique(edge)].mean(axis=0)
        volumes[home] += signed(vertices[edge[:, 0]], vertices[edge[:, 1]], middle[None]).sum()
    return volumes
