"""The fit of a body to sightings: problem, starting path, sides, standing feet, places of the points, size."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.recovery import solver
from mjxhuman.recovery.sides import exchanged_by_fit, exchanged_in_time
from mjxhuman.recovery.sightings import Sightings
from mjxhuman.recovery.start import neutral_pose, starting_path
from mjxhuman.recovery.vertical import fall, find_vertical
from mjxhuman.retarget.chain import BODIES, Chain, chain_of, forward_clip
from mjxhuman.retarget.ground import find_ground
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.retarget.motion import SAME_SIZE

#: Standard deviation (rad) of a joint about the neutral pose, about its x, y, z axes (SMPL's).
_POSE = {
    "Hip": (0.7, 0.4, 0.3), "Knee": (0.9, 0.15, 0.1), "Ankle": (0.4, 0.25, 0.25), "Toe": (0.25, 0.1, 0.1),
    "Torso": (0.2, 0.15, 0.12), "Spine": (0.2, 0.15, 0.12), "Chest": (0.15, 0.15, 0.12), "Neck": (0.25, 0.3, 0.2),
    "Head": (0.25, 0.3, 0.2), "Thorax": (0.1, 0.2, 0.2), "Shoulder": (0.8, 0.9, 0.8), "Elbow": (0.7, 1.0, 0.15),
    "Wrist": (0.3, 0.2, 0.3),
}  # fmt: skip
#: Standard deviation of accelerations: root m/s^2, joints rad/s^2. With detections of 1 % of a person's size this is a
#: low-pass at 3 to 6 Hz, as is usual for marker data.
_ROOT_ACCELERATION = 6.0
_ACCELERATION = {
    "Pelvis": 25.0, "Hip": 60.0, "Knee": 80.0, "Ankle": 60.0, "Toe": 30.0, "Torso": 15.0, "Spine": 15.0, "Chest": 15.0,
    "Neck": 20.0, "Head": 20.0, "Thorax": 20.0, "Shoulder": 70.0, "Elbow": 80.0, "Wrist": 40.0,
}  # fmt: skip
#: Standard deviations of 3D landmarks (m), of a sole on the floor (m) and of the speed of a foot that stands (m/s).
_LANDMARK, _ON_FLOOR, _STANDING = 0.10, 0.05, 0.1
#: Standard deviations of a priori knowledge: stature (share), focal length (share), height of the floor where nothing
#: is known (m).
_STATURE, _FOCAL, _FLOOR = 0.06, 0.2, 100.0
#: Standard deviations at which a pixel loses its say in the three rounds.
KERNELS = (10.0, 4.0, 3.0)
#: Sole points touch when slower than the first (m/s) and nearer to the floor than the first (m), surely not beyond the
#: second.
_SLOW, _NEAR = (0.2, 0.5), (0.05, 0.12)
#: A foot that touches before and after so many s at places so near (m) touched all the while.
_GAP, _SAME_PLACE = 0.4, 0.1
#: Errors of a detector repeat themselves: what a whole clip has in common is estimated as from so many frames.
_INDEPENDENT = 10.0
_BASELINE = 0.3  # m between cameras, or that one moves, from which the size of what they see can be told
_UP, _IDENTITY = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 0.0])
_OVERLAP = 64  # frames that two windows of a long clip share


@dataclasses.dataclass
class Fit:
    """The fit as it goes: what is seen, the problem, and the path so far."""

    seen: Sightings
    humanoid: Humanoid
    chain: Chain
    frames: solver.Frames
    body: solver.Body
    path: solver.Path
    swapped: np.ndarray  # (T, V) bool
    size_told: bool
    unlevelled: bool  # whether the vertical is unknown
    turn: np.ndarray = dataclasses.field(default_factory=lambda: _IDENTITY)  # (4,) from the cameras' world to this one
    calibrated: bool = False

    @classmethod
    def begin(cls, seen: Sightings, humanoid: Humanoid, estimate: tuple[str, ...], floor: float | None) -> Fit:
        """The problem without feet and with points at their nominal places, and a path to start from."""
        chain = chain_of(humanoid)
        seen, swapped = exchanged_in_time(seen)
        count = seen.frames
        foot_body, foot = _soles(humanoid)
        bend = np.ones(count)
        bend[[0, -1]] = 0.0
        ratio = _landmark_ratio(seen, chain)
        landmark = np.zeros((count, len(seen.points.names), 3)) if seen.landmark is None else ratio * seen.landmark
        frames = solver.Frames(
            view=seen.view, lens=seen.lens, uv=seen.uv, weight=seen.confidence / seen.sigma(False)[..., None],
            landmark=landmark, landmark_weight=_landmark_weight(seen), bend=bend, touch=np.zeros((count, len(foot))),
            hold=np.zeros((count, len(foot))), segment=np.zeros(count, int),
        )  # fmt: skip
        told = tells_size(seen, floor)
        spread = np.array([
            _STATURE if "stature" in estimate and told else 1e-6, _FOCAL if "focal" in estimate else 1e-6,
            _FLOOR if floor is None else 0.01,
        ])  # fmt: skip
        spread[:2] /= np.sqrt(max(1.0, count / _INDEPENDENT))
        shared = np.array([0.0, 0.0, floor or 0.0])
        pose = np.array([_POSE.get(_bare(name), (1e3, 1e3, 1e3)) for name in BODIES])
        turning = np.array([[_ROOT_ACCELERATION], *[[_ACCELERATION[_bare(name)]] for name in BODIES]])
        hips = [k for k, name in enumerate(seen.points.names) if name in ("LHip", "RHip")]
        body = solver.Body(
            offsets=chain.offsets[: len(BODIES)], body=seen.points.body, point=seen.points.point,
            anchor=seen.points.point[hips].mean(0) if hips else np.zeros(3), foot_body=foot_body, foot=foot,
            reference=neutral_pose(), reference_weight=1.0 / pose,
            bend_weight=np.repeat(seen.fps**2 / turning, 3, 1), floor_weight=np.array(0.0),
            hold_weight=np.array(seen.fps / _STANDING / np.sqrt(len(foot) / 2)), pixel_scale=np.array(KERNELS[0]),
            landmark_scale=np.array(3.0), shared=shared, shared_precision=1.0 / spread**2,
        )  # fmt: skip
        path = starting_path(seen, chain, frames, body)
        return cls(seen, humanoid, chain, frames, body, path, swapped, told, "gravity" in estimate)

    def solve(self, kernel: float, steps: int) -> None:
        """Least squares on all frames from the path so far."""
        weight = self.seen.confidence / self.seen.sigma(self.calibrated)[..., None]
        self.frames = self.frames._replace(uv=self.seen.uv, weight=weight)
        self.body = self.body._replace(pixel_scale=np.array(kernel))
        self.path = solve_long(self.frames, self.body, self.path, steps)

    @property
    def scale(self) -> float:
        """Of the body, relative to its chain."""
        return float(np.exp(self.path.shared[0]))

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions ``(T, 24, 3)`` m and rotations ``(T, 24, 4)``."""
        scaled = dataclasses.replace(self.chain, offsets=self.chain.offsets * self.scale)
        return forward_clip(scaled, self.path.root, self.path.local)

    def places(self) -> np.ndarray:
        """The points on the fitted body ``(T, K, 3)`` m, world."""
        pos, quat = self.pose()
        return pos[:, self.body.body] + quaternion.rotate(quat[:, self.body.body], self.scale * self.body.point)

    def soles(self) -> np.ndarray:
        """Points of the soles ``(T, F, 3)`` m, world."""
        pos, quat = self.pose()
        return pos[:, self.body.foot_body] + quaternion.rotate(
            quat[:, self.body.foot_body], self.scale * self.body.foot
        )

    def centre_of_mass(self) -> np.ndarray:
        """``(T, 3)`` m, world."""
        ids, model = self.humanoid.smpl_body_ids, self.humanoid.model
        share = model.body_mass[ids] / model.body_mass[ids].sum()
        centre = self.scale * quaternion.rotate(np.asarray(self.humanoid.smpl_frame, float), model.body_ipos[ids])
        pos, quat = self.pose()
        return np.einsum("b,tbi->ti", share, pos + quaternion.rotate(quat, centre))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ideal pixels ``(T, V, K, 2)`` of world points ``(T, K, 3)``, and their derivative ``(T, V, K, 2, 3)``."""
        view = self.frames.view
        seen = np.einsum("tvij,tkj->tvki", view[..., :3], points) + view[:, :, None, :, 3]
        depth = np.maximum(seen[..., 2:], 0.05)
        focal = np.exp(self.path.shared[1]) * self.frames.lens[:, :, None, :2]
        ideal = seen[..., :2] / depth
        eye = np.broadcast_to(np.eye(2), (*ideal.shape, 2))
        by_camera = (focal / depth)[..., None] * np.concatenate([eye, -ideal[..., None]], -1)
        return focal * ideal + self.frames.lens[:, :, None, 2:], np.einsum(
            "tvkia,tvab->tvkib", by_camera, view[..., :3]
        )

    def misfit(self) -> np.ndarray:
        """Distance ``(T, V, K)`` of sightings from the body's points, in standard deviations; NaN where not seen."""
        distance = np.linalg.norm(self.project(self.places())[0] - self.seen.uv, axis=-1)
        return np.where(self.seen.confidence > 0, distance / self.seen.sigma(True)[..., None], np.nan)

    def untangle(self) -> None:
        """Exchange left and right of legs, arms or face in frames where that fits the path much better."""
        self.seen, swap = exchanged_by_fit(self.seen, self.project(self.places())[0])
        self.swapped ^= swap
        self.frames = self.frames._replace(landmark_weight=_landmark_weight(self.seen))

    def level(self) -> None:
        """Turn the world about its origin so that up is where balance and floor say, if nobody knows."""
        if not self.unlevelled:
            return
        stature = self.humanoid.stature * self.scale
        nominal = quaternion.rotate(self.turn, _UP)
        up = find_vertical(self.centre_of_mass(), self.soles(), stature, self.seen.fps, self.seen.seen.any(1), nominal)
        turn = quaternion.between(up, _UP)
        self.turn = quaternion.multiply(turn, self.turn)
        view = self.seen.view.copy()
        view[..., :3] = view[..., :3] @ Rotation.from_quat(turn, scalar_first=True).as_matrix().T
        landmark = None if self.seen.landmark is None else quaternion.rotate(turn, self.seen.landmark)
        self.seen = dataclasses.replace(self.seen, view=view, landmark=landmark)
        self.frames = self.frames._replace(view=view, landmark=quaternion.rotate(turn, self.frames.landmark))
        local = self.path.local.copy()
        local[:, 0] = quaternion.multiply(turn, local[:, 0])
        self.path = self.path._replace(root=quaternion.rotate(turn, self.path.root), local=local)

    def stand(self) -> None:
        """Find the floor and the sole points that touch it and stay."""
        soles, fps = self.soles(), self.seen.fps
        radius = max(1, round(0.05 * fps))
        index = np.arange(len(soles))
        after, before = np.minimum(index + radius, len(soles) - 1), np.maximum(index - radius, 0)
        speed = np.linalg.norm(soles[after] - soles[before], axis=-1) * fps / np.maximum(after - before, 1)[:, None]
        floor = self.path.shared[2] if self.body.shared_precision[2] > 1.0 else _floor_of(soles, fps)
        touch = _bridged(fall(speed, _SLOW) * fall(soles[..., 2] - floor, _NEAR), soles, fps)
        hold = np.zeros_like(touch)
        hold[:-1] = np.minimum(touch[:-1], touch[1:])
        self.path = self.path._replace(shared=np.array([*self.path.shared[:2], floor]))
        self.frames = self.frames._replace(touch=touch, hold=hold)
        self.body = self.body._replace(floor_weight=np.array(1.0 / _ON_FLOOR / np.sqrt(self.body.foot.shape[0] / 2)))

    def place_points(self) -> None:
        """Move every point to where on this body the detector sees it, the same on both sides."""
        pixels, slope = self.project(self.places())
        _, quat = self.pose()
        turn = self.scale * Rotation.from_quat(quat[:, self.body.body].reshape(-1, 4), scalar_first=True).as_matrix()
        slope = np.einsum("tvkia,tkab->tvkib", slope, turn.reshape(*quat[:, self.body.body].shape[:2], 3, 3))
        sigma = self.seen.sigma(False)[..., None]
        error = self.seen.uv - pixels
        square = np.sum(error**2, -1) / sigma**2
        weight = (self.seen.confidence / sigma) ** 2 / (1.0 + square / KERNELS[1] ** 2) ** 2
        normal = np.einsum("tvk,tvkia,tvkib->kab", weight, slope, slope)
        pull = np.einsum("tvk,tvkia,tvki->ka", weight, slope, error)
        flip, mirror = np.array([-1.0, 1.0, 1.0]), self.seen.mirror()
        paired = (mirror != np.arange(len(mirror)))[:, None]
        normal = normal + np.where(paired[..., None], (flip[:, None] * normal * flip)[mirror], 0.0)
        nominal = self.seen.points.point
        offset = self.body.point - nominal
        both = pull + np.where(paired, (flip * pull)[mirror], 0.0)
        share = min(1.0, _INDEPENDENT / self.seen.frames)
        prior = 1.0 / self.seen.points.prior[:, None] ** 2
        step = np.linalg.solve(
            share * normal + prior[..., None] * np.eye(3), (share * both - prior * offset)[..., None]
        )
        self.body = self.body._replace(point=self.body.point + step[..., 0])
        self.calibrated = True

    def settle_size(self, own_body: bool) -> None:
        """Fix the scale: a humanoid of the stature found, to the centimetre, or the given one where it is near."""
        if own_body:
            stature = round(self.humanoid.stature * self.scale, 2)
            grown = stature / self.humanoid.stature
            self.humanoid = load_humanoid("smpl", stature=stature)
            self.chain = chain_of(self.humanoid)
            self.body = self.body._replace(
                offsets=self.chain.offsets[: len(BODIES)], point=self.body.point * grown,
                anchor=self.body.anchor * grown, foot=self.body.foot * grown,
            )  # fmt: skip
            self.seen = dataclasses.replace(self.seen, points=keypoint_set(tuple(self.seen.points.names), self.chain))
            self.frames = self.frames._replace(landmark=self.frames.landmark * grown)
            scale = 0.0
        else:
            scale = 0.0 if abs(self.scale - 1.0) <= SAME_SIZE else float(self.path.shared[0])
        self.path = self.path._replace(shared=np.array([scale, *self.path.shared[1:]]))
        precision = self.body.shared_precision.copy()
        precision[0] = 1e12
        shared = np.array(self.body.shared)
        shared[0] = scale
        self.body = self.body._replace(shared=shared, shared_precision=precision)


def tells_size(seen: Sightings, floor: float | None) -> bool:
    """Whether anything states a length: cameras at different places, or the height of one over a known floor."""
    place = -np.einsum("tvji,tvj->tvi", seen.view[..., :3], seen.view[..., 3]).reshape(-1, 3)
    return floor is not None or float(np.linalg.norm(np.ptp(place, axis=0))) > _BASELINE


def _bare(name: str) -> str:
    return name[2:] if name[:2] in ("L_", "R_") else name


def _bridged(touch: np.ndarray, soles: np.ndarray, fps: float) -> np.ndarray:
    """Touch ``(T, F)`` without short gaps: a point that is back where it was has not left, a detection had."""
    inside = np.zeros((len(touch) + 1, touch.shape[1]))
    for lag in range(2, min(int(_GAP * fps), len(touch) - 1) + 1):
        back = np.linalg.norm(soles[lag:] - soles[:-lag], axis=-1) < _SAME_PLACE
        gap = back & (touch[lag:] > 0.5) & (touch[:-lag] > 0.5)
        inside[: len(gap)] += gap
        inside[lag : lag + len(gap)] -= gap
    return np.where(inside.cumsum(0)[:-1] > 0, 1.0, touch)


def _soles(humanoid: Humanoid) -> tuple[np.ndarray, np.ndarray]:
    """SMPL bodies (F,) and points (F, 3) m, in SMPL's frames, of the sole."""
    contacts = humanoid.contacts
    assert contacts is not None and humanoid.smpl_body_ids is not None
    rows = np.flatnonzero(contacts.is_foot)
    index = {int(body): k for k, body in enumerate(humanoid.smpl_body_ids)}
    point = quaternion.rotate(np.asarray(humanoid.smpl_frame, float), contacts.offset[rows])
    point[:, 1] -= contacts.radius[rows]
    return np.array([index[int(b)] for b in contacts.body_id[rows]]), point


def _floor_of(soles: np.ndarray, fps: float) -> float:
    """Height of the floor under sole points ``(T, F, 3)``, as the grounding policy "stance" finds it."""
    return -find_ground(soles, np.ones(soles.shape[1], bool), fps, "stance").offset


def _landmark_weight(seen: Sightings) -> np.ndarray:
    """1/m, (T, K)."""
    if seen.landmark_known is None:
        return np.zeros((seen.frames, len(seen.points.names)))
    return seen.landmark_known * seen.confidence.max(1) / _LANDMARK


def _landmark_ratio(seen: Sightings, chain: Chain) -> float:
    """Size of the body relative to the 3D landmarks': median over the frames of the ratio of summed segment lengths."""
    if seen.landmark is None or seen.landmark_known is None:
        return 1.0
    place = {name: chain.rest[seen.points.body[k]] + seen.points.point[k] for k, name in enumerate(seen.points.names)}
    own, theirs = 0.0, np.zeros(seen.frames)
    for a, b in (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"), ("Hip", "Shoulder")):
        for side in "LR":
            if side + a in place and side + b in place:
                own += float(np.linalg.norm(place[side + a] - place[side + b]))
                first, second = (seen.landmark[:, seen.points.names.index(side + x)] for x in (a, b))
                theirs += np.linalg.norm(first - second, axis=-1)
    whole = seen.landmark_known.all(1)
    used = theirs[whole] if whole.any() else theirs[theirs > 0]
    return own / float(np.median(used)) if used.size else 1.0


def solve_long(frames: solver.Frames, body: solver.Body, start: solver.Path, steps: int) -> solver.Path:
    """Solve a clip of any length, in overlapping windows where it is longer than the solver takes.

    Neighbouring windows are blended over their overlap; the shared unknowns are the windows' medians.
    """
    count, longest = len(frames.uv), solver.LENGTHS[-1]
    if count <= longest:
        return solver.solve_clip(frames, body, start, max_steps=steps).path
    parts = -(-(count - _OVERLAP) // (longest - _OVERLAP))
    first = np.round(np.linspace(0, count - longest, parts)).astype(int)
    root, local, shared = np.array(start.root), np.array(start.local), []
    for n, begin in enumerate(first):
        window = slice(begin, begin + longest)
        cut = solver.Frames(*(np.array(x[window]) for x in frames))
        cut.bend[[0, -1]] = 0.0
        cut.hold[-1] = 0.0
        path = solver.solve_clip(
            cut, body, solver.Path(start.root[window], start.local[window], start.shared), max_steps=steps
        ).path
        share = np.ones(longest)
        if n:
            overlap = first[n - 1] + longest - begin
            share[:overlap] = np.linspace(0.0, 1.0, overlap)
        root[window] += share[:, None] * (path.root - root[window])
        local[window] = quaternion.interpolate(local[window], path.local, share[:, None, None])
        shared.append(path.shared)
    return solver.Path(root, local, np.median(shared, axis=0))
