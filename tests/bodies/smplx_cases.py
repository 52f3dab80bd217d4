"""Made-up model files in smplx's own format, and what the package ``smplx`` makes of them.

Numbers come from sines of large phases, not from a generator, so that every version of NumPy makes the same file.
``python tests/bodies/smplx_cases.py`` writes the stored results again (needs torch and smplx).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("smplx_golden.npz")
JOINTS = {"SMPL": 24, "SMPL-H": 52, "SMPL-X": 55}
VERTICES = 12
_BODY = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_VERTEX_NAMES = (
    "nose", "reye", "leye", "rear", "lear", "rthumb", "rindex", "rmiddle", "rring", "rpinky", "lthumb", "lindex",
    "lmiddle", "lring", "lpinky", "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
)  # fmt: skip

#: name: kind, options of the model, batch, parameters' lengths
CASES: dict[str, tuple[str, dict, dict[str, int]]] = {
    "smpl": ("SMPL", {}, {"betas": 10, "global_orient": 3, "body_pose": 69, "transl": 3}),
    "smplh_pca": (
        "SMPL-H", {"num_pca_comps": 8},
        {"betas": 10, "global_orient": 3, "body_pose": 63, "transl": 3, "left_hand_pose": 8, "right_hand_pose": 8},
    ),
    "smplh_flat": (
        "SMPL-H", {"use_pca": False, "flat_hand_mean": True},
        {"betas": 10, "global_orient": 3, "body_pose": 63, "left_hand_pose": 45, "right_hand_pose": 45},
    ),
    "smplx_default": (
        "SMPL-X", {},
        {"betas": 10, "global_orient": 3, "body_pose": 63, "transl": 3, "expression": 10, "jaw_pose": 3, "leye_pose": 3,
         "reye_pose": 3, "left_hand_pose": 6, "right_hand_pose": 6},
    ),
    "smplx_full": (
        "SMPL-X", {"use_pca": False, "num_betas": 300, "num_expression_coeffs": 50},
        {"betas": 300, "global_orient": 3, "body_pose": 63, "expression": 50, "left_hand_pose": 45,
         "right_hand_pose": 45},
    ),
}  # fmt: skip


def wave(seed: int, *shape: int) -> np.ndarray:
    """Irregular numbers in [-1, 1]."""
    return np.sin(1e3 * seed + 7.31 * np.arange(1, 1 + np.prod(shape)) ** 1.5).reshape(shape)


def parents(kind: str) -> np.ndarray:
    """Kinematic tree of a kind."""
    if kind == "SMPL":
        return np.array([*_BODY, 20, 21])
    table = [*_BODY, *([15] * 3 if kind == "SMPL-X" else [])]
    for wrist in (20, 21):
        first = len(table)
        table += [wrist if k % 3 == 0 else first + k - 1 for k in range(15)]
    return np.array(table)


def model_arrays(case: str) -> dict[str, np.ndarray]:
    """A body of the size of a person whose every array matters, with ``VERTICES`` vertices."""
    kind, options, _ = CASES[case]
    joints = JOINTS[kind]
    directions = 10 if kind != "SMPL-X" else 400 if options.get("num_betas") == 300 else 20
    regressor, weights = np.abs(wave(1, joints, VERTICES)) ** 9, np.abs(wave(2, VERTICES, joints)) ** 30
    table = parents(kind)
    arrays = {
        "v_template": wave(3, VERTICES, 3) * [0.8, 0.9, 0.3],
        "shapedirs": 0.03 * wave(4, VERTICES, 3, directions) / np.sqrt(directions),
        "posedirs": 0.01 * wave(5, VERTICES, 3, 9 * (joints - 1)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.stack([np.where(table < 0, 2**32 - 1, table), np.arange(joints)]).astype(np.int64),
        "f": np.array([[k, (k + 1) % VERTICES, (k + 2) % VERTICES] for k in range(VERTICES)], np.uint32),
    }
    if kind != "SMPL":
        for k, side in enumerate("lr"):
            arrays[f"hands_components{side}"] = 0.5 * wave(6 + k, 45, 45)
            arrays[f"hands_mean{side}"] = 0.3 * wave(8 + k, 45)
    if kind == "SMPL-X":
        arrays |= {"lmk_faces_idx": np.arange(3), "lmk_bary_coords": np.full((3, 3), 1.0 / 3.0)}
    return arrays


def parameters(case: str, batch: int = 2) -> dict[str, np.ndarray]:
    """Shapes and poses, some joints at rest, one shape far from the mean."""
    found = {}
    for seed, (name, length) in enumerate(CASES[case][2].items(), start=20):
        value = wave(seed, batch, length) * {"betas": 3.0, "expression": 2.0, "transl": 5.0}.get(name, 1.5)
        if name == "body_pose":
            value[0, 3:9] = 0.0
            value[1, :3] = [0.0, 3.1, 0.0]
        found[name] = value
    return found


def by_smplx(case: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of the kinematic tree that smplx computes from a file written to ``path`` (no suffix)."""
    import smplx.body_models as reference
    import torch

    kind, options, _ = CASES[case]
    ids = {name: k % VERTICES for k, name in enumerate(_VERTEX_NAMES)}
    for known in ("smplh", "smplx"):  # its own point at vertices that the real meshes have
        reference.VERTEX_IDS[known] = ids
    arrays = model_arrays(case)
    extension = "pkl" if kind == "SMPL" else "npz"
    file = path.with_suffix("." + extension)
    if extension == "pkl":
        file.write_bytes(pickle.dumps(arrays))
    else:
        np.savez(file, **arrays)
    make = {"SMPL": reference.SMPL, "SMPL-H": reference.SMPLH, "SMPL-X": reference.SMPLX}[kind]
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters(case).items()}
    batch = len(next(iter(given.values())))
    model = make(str(file), dtype=torch.float64, ext=extension, batch_size=batch, **options)
    with torch.no_grad():
        body = model(**given)
    return body.vertices.numpy(), body.joints.numpy()[:, : JOINTS[kind]]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = {case: by_smplx(case, Path(folder) / case) for case in CASES}
    np.savez_compressed(GOLDEN, **{f"{c}_{n}": x for c, pair in found.items() for n, x in zip("vj", pair, strict=True)})
