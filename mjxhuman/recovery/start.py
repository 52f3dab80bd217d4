"""Starting paths for the whole-clip fit: which way the person faces is decided before anything is refined.

Pixels of one camera have several explanations, front and back among them, and least squares stays in the one it starts
from. So some frames of the clip are solved on their own from eight headings each, and the sequence of solutions that
explains the pixels without jumping is taken (Viterbi). With 3D landmarks the start is closed-form instead.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from mjxhuman.math import quaternion
from mjxhuman.recovery.equations import SHARED, ClipProblem, Path
from mjxhuman.recovery.sightings import Sightings
from mjxhuman.recovery.solver import LENGTHS, solve_clip
from mjxhuman.retarget.alignment import REQUIRED, rotations_from_positions
from mjxhuman.retarget.chain import BODIES, UPRIGHT, Chain, forward_clip, local_rotations

#: Starting orientations that are refined per frame, out of the candidates.
HEADINGS = 8
_STEP = 0.1  # s between the frames that are solved, unless the clip is too long
#: Between solved frames a joint moves by about so much (m/s) and this (m) on top.
_SPEED, _SLACK = 1.0, 0.05
_MOST_COST = 60.0  # per seen point: a frame whose pixels make no sense decides nothing


def neutral_pose() -> np.ndarray:
    """Local rotations ``(22, 4)``: standing with arms at 25 degrees from the trunk, knees and elbows a little bent."""
    local = np.tile([1.0, 0.0, 0.0, 0.0], (len(BODIES), 1))

    def turn(name: str, degrees: tuple[float, float, float]) -> None:
        for side, mirror in (("L_", np.ones(3)), ("R_", np.array([1.0, -1.0, -1.0]))):
            vector = np.deg2rad(degrees) * mirror
            local[BODIES.index(side + name)] = Rotation.from_rotvec(vector).as_quat(scalar_first=True)

    turn("Hip", (-10.0, 0.0, 2.0))
    turn("Knee", (15.0, 0.0, 0.0))
    turn("Ankle", (-5.0, 0.0, 0.0))
    turn("Thorax", (0.0, 0.0, -10.0))
    turn("Shoulder", (0.0, 0.0, -55.0))
    turn("Elbow", (0.0, -25.0, 0.0))
    return local


def starting_path(seen: Sightings, chain: Chain, problem: ClipProblem) -> Path:
    """A path to start the whole-clip fit from.

    Args:
      seen: the sightings. chain: the body.
      problem: as it will be solved; here every frame of it stands alone.
    """
    if _landmarks_suffice(seen):
        return _from_landmarks(seen, chain)
    # the solver's programs are compiled for a few lengths: solve as many frames at once as the clip's own holds
    length = next((size for size in LENGTHS if size >= seen.frames), LENGTHS[-1])
    step = max(1, round(_STEP * seen.fps), -(-min(seen.frames, length) * HEADINGS // length))
    used = np.flatnonzero((seen.confidence > 0).sum((1, 2)) >= 6)
    if not used.size:
        used = np.flatnonzero(seen.seen.any(1))
    chosen = used[::step]
    local, root = _candidates(seen, chain, chosen)  # (N, 8, 22, 4), (N, 8, 3)
    held = problem._replace(shared_precision=np.full(len(SHARED), 1e12))
    parts = []
    for first in range(0, len(chosen), length // HEADINGS):
        part = slice(first, first + length // HEADINGS)
        rows = np.repeat(chosen[part], HEADINGS)
        alone = held.frames(rows)._replace(segment=np.arange(len(rows)))
        begin = Path(root[part].reshape(-1, 3), local[part].reshape(-1, len(BODIES), 4), np.asarray(problem.shared))
        parts.append(solve_clip(alone, begin, max_steps=25, tolerance=1e-2))
    shape = (len(chosen), HEADINGS)
    path = _best_sequence(
        np.concatenate([x.path.root for x in parts]).reshape(*shape, 3),
        np.concatenate([x.path.local for x in parts]).reshape(*shape, len(BODIES), 4),
        np.concatenate([x.cost for x in parts]).reshape(shape), (seen.confidence[chosen] > 0).sum((1, 2)),
        np.diff(chosen) / seen.fps, chain,
    )  # fmt: skip
    return Path(*_filled(path[0], path[1], chosen, seen.frames), np.asarray(problem.shared, float))


def _candidates(seen: Sightings, chain: Chain, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses and roots to start each chosen frame from: the neutral pose upright, prone and supine, eight ways round
    each; the eight of these that, placed where the rays ask for it, come nearest to them."""
    yaw = [Rotation.from_euler("z", k * 45.0, degrees=True) for k in range(HEADINGS)]
    tilt = [Rotation.from_euler("y", angle, degrees=True) for angle in (0.0, 90.0, -90.0)]
    upright = Rotation.from_quat(UPRIGHT, scalar_first=True)
    orientation = np.array([(y * t * upright).as_quat(scalar_first=True) for t in tilt for y in yaw])
    local = np.tile(neutral_pose(), (len(orientation), 1, 1))
    local[:, 0] = orientation
    pos, quat = forward_clip(chain, np.zeros((len(local), 3)), local)
    model = pos[:, seen.points.body] + quaternion.rotate(quat[:, seen.points.body], seen.points.point)  # (C, K, 3)
    place, direction, weight = _rays(seen, chosen)
    # least squares of the distances to the rays: across = identity - direction direction^T
    across = weight[..., None, None] * (np.eye(3) - direction[..., :, None] * direction[..., None, :])
    normal = across.sum((1, 2)) + 1e-9 * np.eye(3)
    offset = np.einsum("nvkij,nvj->nvki", across, place).sum((1, 2))
    pull = np.einsum("nkij,ckj->nci", across.sum(1), model)
    root = np.linalg.solve(normal[:, None], (offset[:, None] - pull)[..., None])[..., 0]  # (N, C, 3)
    arm = model[None, :, None] + root[:, :, None, None] - place[:, None, :, None]  # (N, C, V, K, 3)
    ahead = np.sum(arm * direction[:, None], -1)
    miss = np.linalg.norm(arm - ahead[..., None] * direction[:, None], axis=-1) / np.maximum(ahead, 0.1)
    cost = (weight[:, None] * miss**2).sum((2, 3)) + 1e3 * (ahead < 0.1).any((2, 3))
    best = np.argsort(cost, axis=1)[:, :HEADINGS]
    rows = np.arange(len(chosen))[:, None]
    return local[best], root[rows, best]


def _rays(seen: Sightings, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Camera places ``(N, V, 3)``, unit directions ``(N, V, K, 3)`` in the world and weights ``(N, V, K)``."""
    view, lens = seen.view[chosen], seen.lens[chosen][:, :, None]
    turn = view[..., :3]
    place = -np.einsum("nvji,nvj->nvi", turn, view[..., 3])
    ideal = (seen.uv[chosen] - lens[..., 2:]) / lens[..., :2]
    direction = quaternion.unit(np.concatenate([ideal, np.ones_like(ideal[..., :1])], -1))
    return place, np.einsum("nvji,nvkj->nvki", turn, direction), seen.confidence[chosen]


def _best_sequence(
    root: np.ndarray, local: np.ndarray, cost: np.ndarray, points: np.ndarray, times: np.ndarray, chain: Chain
) -> tuple[np.ndarray, np.ndarray]:
    """The sequence of solutions ``(N, 3), (N, 22, 4)`` of least cost and motion, out of H per frame."""
    count, ways = cost.shape
    pos, _ = forward_clip(chain, root.reshape(-1, 3), local.reshape(-1, len(BODIES), 4))
    pos = pos.reshape(count, ways, 24, 3)
    own = np.minimum(cost, _MOST_COST * np.maximum(points, 1)[:, None])
    total, back = own[0], np.zeros((count, ways), int)
    for n in range(1, count):
        jump = np.sum((pos[n][:, None] - pos[n - 1][None]) ** 2, -1) / (_SPEED * times[n - 1] + _SLACK) ** 2
        through = total[None] + jump.sum(-1)
        back[n] = np.argmin(through, axis=1)
        total = own[n] + through[np.arange(ways), back[n]]
    way = np.zeros(count, int)
    way[-1] = int(np.argmin(total))
    for n in range(count - 1, 0, -1):
        way[n - 1] = back[n, way[n]]
    rows = np.arange(count)
    return root[rows, way], local[rows, way]


def _filled(root: np.ndarray, local: np.ndarray, chosen: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Root and rotations of all frames: interpolated between the chosen ones, held before and after."""
    times = np.clip(np.arange(frames), chosen[0], chosen[-1])
    if len(chosen) == 1:
        return np.repeat(root, frames, 0), np.repeat(local, frames, 0)
    full = np.stack([np.interp(times, chosen, root[:, k]) for k in range(3)], -1)
    turns = [Slerp(chosen, Rotation.from_quat(local[:, j], scalar_first=True))(times) for j in range(local.shape[1])]
    return full, np.stack([turn.as_quat(scalar_first=True) for turn in turns], 1)


def _landmarks_suffice(seen: Sightings) -> bool:
    """Whether the joints without which no pose can be told have landmarks, each in some frame."""
    if seen.landmark_known is None:
        return False
    known = {name for name, some in zip(seen.points.names, seen.landmark_known.any(0), strict=True) if some}
    return {joint.replace("_", "") for joint in REQUIRED} <= known


def _from_landmarks(seen: Sightings, chain: Chain) -> Path:
    """Rotations in closed form from the landmarks; the root where the rays ask for it, frame by frame."""
    assert seen.landmark is not None
    columns = {p.name: k for k, p in enumerate(seen.points.places)}
    alias = {"Toe": ("BigToe", "FootIndex")}
    joints = {}
    for joint in ("Hip", "Knee", "Ankle", "Toe", "Shoulder", "Elbow", "Wrist"):
        for side in "LR":
            for name in alias.get(joint, (joint,)):
                if side + name in columns:
                    joints[f"{side}_{joint}"] = _bridged(
                        seen.landmark[:, columns[side + name]], seen, columns[side + name]
                    )
                    break
    local = local_rotations(rotations_from_positions(joints, chain))
    pos, quat = forward_clip(chain, np.zeros((seen.frames, 3)), local)
    model = pos[:, seen.points.body] + quaternion.rotate(quat[:, seen.points.body], seen.points.point)
    known = np.flatnonzero(seen.seen.sum(1) >= 4)
    place, direction, weight = _rays(seen, known)
    across = weight[..., None, None] * (np.eye(3) - direction[..., :, None] * direction[..., None, :])
    arm = place[:, :, None] - model[known][:, None]
    root = np.linalg.solve(across.sum((1, 2)) + 1e-9 * np.eye(3), np.einsum("nvkij,nvkj->ni", across, arm)[..., None])[
        ..., 0
    ]
    full = np.stack([np.interp(np.arange(seen.frames), known, root[:, k]) for k in range(3)], -1)
    return Path(full, local, np.zeros(len(SHARED)))


def _bridged(path: np.ndarray, seen: Sightings, column: int) -> np.ndarray:
    """A point's path ``(T, 3)`` with frames in which it was not seen interpolated: a start needs something."""
    assert seen.landmark_known is not None
    known = np.flatnonzero(seen.landmark_known[:, column])
    if not known.size:
        return path
    return np.stack([np.interp(np.arange(len(path)), known, path[known, k]) for k in range(3)], -1)
