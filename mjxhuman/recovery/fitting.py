"""The fit of a body to what is seen of one person: a draft, its solution, and what the solution teaches the next draft.

``begin`` makes a ``Draft`` (a problem and a path to start from), ``solve`` a ``Fit`` of it, ``revise`` the next draft:
feet that stand are held, points move to where this body has them. ``untangled`` and ``turned`` give a fit seen with
sides put right and in a turned world. Records are never changed, so there is no order to get wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.math.camera import NEAREST
from mjxhuman.recovery.equations import FLOOR, FOCAL, SCALE, Path, Residual
from mjxhuman.recovery.feet import sole_points, touching
from mjxhuman.recovery.residuals import Evidence, Subject, problem_of
from mjxhuman.recovery.sides import exchanged_by_fit, exchanged_in_time
from mjxhuman.recovery.sightings import Sightings
from mjxhuman.recovery.solver import solve_long
from mjxhuman.recovery.start import neutral_pose, starting_path
from mjxhuman.retarget.chain import BODIES, Chain, chain_of, forward_clip
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.retarget.motion import SAME_SIZE
from mjxhuman.scenes.surface import Surface

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
#: Standard deviations of a priori knowledge: stature (share), focal length (share), height (m) of a floor that is
#: known, of one that others share and of one of which nothing is known.
STATURE_SPREAD, _FOCAL_SPREAD, _KNOWN_FLOOR, _SHARED_FLOOR, _ANY_FLOOR = 0.06, 0.2, 0.01, 1e-3, 100.0
_HELD = 1e-6
#: Standard deviations at which a pixel loses its say in the three rounds.
KERNELS = (10.0, 4.0, 3.0)
#: Errors of a detector repeat themselves: what a whole clip has in common is estimated as from so many frames.
_INDEPENDENT = 10.0
_BASELINE = 0.3  # m between cameras, or that one moves, from which the size of what they see can be told
_STEPS = 20
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


@dataclasses.dataclass(frozen=True)
class Draft:
    """The problem of one person, and a path to start from."""

    seen: Sightings
    humanoid: Humanoid
    chain: Chain
    evidence: Evidence
    subject: Subject
    path: Path
    swapped: np.ndarray  # (T, V) bool, sides put right
    estimate: tuple[str, ...]  # of "stature", "focal", "gravity"
    floor: float | None  # m, where it is known
    size_told: bool  # whether anything states a length
    extra: tuple[Residual, ...] = ()
    surface: Surface | None = None  # what carries the soles, lifted by the height of the floor; None: it is level
    turn: np.ndarray = dataclasses.field(default_factory=lambda: _IDENTITY)  # (4,) from the cameras' world to this one
    calibrated: bool = False  # whether the points are where this body has them
    shares_floor: bool = False  # whether others stand on the same one


@dataclasses.dataclass(frozen=True)
class Fit:
    """A solved draft: its path solves its problem."""

    draft: Draft

    @property
    def path(self) -> Path:
        """The solution."""
        return self.draft.path

    @property
    def seen(self) -> Sightings:
        """What was to be explained."""
        return self.draft.seen

    @property
    def scale(self) -> float:
        """Of the body, relative to its chain."""
        return float(np.exp(self.path.shared[SCALE]))

    @property
    def focal(self) -> float:
        """Factor on the focal length given."""
        return float(np.exp(self.path.shared[FOCAL]))

    @property
    def stature(self) -> float:
        """m."""
        return self.draft.humanoid.stature * self.scale

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions ``(T, 24, 3)`` m and rotations ``(T, 24, 4)``."""
        chain = self.draft.chain
        return forward_clip(
            dataclasses.replace(chain, offsets=chain.offsets * self.scale), self.path.root, self.path.local
        )

    def places(self) -> np.ndarray:
        """The points on the fitted body ``(T, K, 3)`` m, world."""
        return self._fixed(self.draft.subject.body, self.draft.subject.point)

    def soles(self) -> np.ndarray:
        """Points of the soles ``(T, F, 3)`` m, world."""
        return self._fixed(self.draft.subject.foot_body, self.draft.subject.foot)

    def _fixed(self, body: np.ndarray, point: np.ndarray) -> np.ndarray:
        pos, quat = self.pose()
        return pos[:, body] + quaternion.rotate(quat[:, body], self.scale * point)

    def centre_of_mass(self) -> np.ndarray:
        """``(T, 3)`` m, world."""
        humanoid = self.draft.humanoid
        pos, quat = self.pose()
        turned = quaternion.multiply(quat, np.asarray(humanoid.smpl_frame, float))
        return humanoid.centre_of_mass(pos, turned, humanoid.smpl_body_ids, self.scale)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ideal pixels ``(T, V, K, 2)`` of world points ``(T, K, 3)``, and their derivative ``(T, V, K, 2, 3)``."""
        view, lens = self.seen.view, self.seen.lens
        seen = np.einsum("tvij,tkj->tvki", view[..., :3], points) + view[:, :, None, :, 3]
        depth = np.maximum(seen[..., 2:], NEAREST)
        focal = self.focal * lens[:, :, None, :2]
        ideal = seen[..., :2] / depth
        eye = np.broadcast_to(np.eye(2), (*ideal.shape, 2))
        by_camera = (focal / depth)[..., None] * np.concatenate([eye, -ideal[..., None]], -1)
        slope = np.einsum("tvkia,tvab->tvkib", by_camera, view[..., :3])
        return focal * ideal + lens[:, :, None, 2:], slope

    def misfit(self) -> np.ndarray:
        """Distance ``(T, V, K)`` of sightings from the body's points, in standard deviations; NaN where not seen."""
        distance = np.linalg.norm(self.project(self.places())[0] - self.seen.uv, axis=-1)
        return np.where(self.seen.confidence > 0, distance / self.seen.sigma(True)[..., None], np.nan)


def begin(
    seen: Sightings,
    humanoid: Humanoid,
    estimate: tuple[str, ...],
    floor: float | None,
    extra: Sequence[Residual] = (),
    surface: Surface | None = None,
) -> Draft:
    """The problem without feet and with points at their nominal places, and a path to start from."""
    chain = chain_of(humanoid)
    seen, swapped = exchanged_in_time(seen)
    count = seen.frames
    foot_body, foot = sole_points(humanoid)
    evidence = Evidence(
        view=seen.view, lens=seen.lens, uv=seen.uv, weight=_pixel_weight(seen, False),
        landmark=None if seen.landmark is None else _landmark_ratio(seen, chain) * seen.landmark,
        landmark_weight=_landmark_weight(seen), touch=np.zeros((count, len(foot))), hold=np.zeros((count, len(foot))),
    )  # fmt: skip
    told = tells_size(seen, floor)
    spread = np.array([
        _clip_spread(STATURE_SPREAD if "stature" in estimate and told else _HELD, count),
        _clip_spread(_FOCAL_SPREAD if "focal" in estimate else _HELD, count),
        _ANY_FLOOR if floor is None else _KNOWN_FLOOR,
    ])  # fmt: skip
    pose = np.array([_POSE.get(_bare(name), (1e3, 1e3, 1e3)) for name in BODIES])
    turning = np.array([[_ROOT_ACCELERATION], *[[_ACCELERATION[_bare(name)]] for name in BODIES]])
    hips = [k for k, name in enumerate(seen.points.names) if name in ("LHip", "RHip")]
    subject = Subject(
        offsets=chain.offsets[: len(BODIES)], body=seen.points.body, point=seen.points.point,
        anchor=seen.points.point[hips].mean(0) if hips else np.zeros(3), foot_body=foot_body, foot=foot,
        reference=neutral_pose(), reference_weight=1.0 / pose,
        bend_weight=np.repeat(seen.fps**2 / turning, 3, 1), floor_weight=np.array(0.0),
        hold_weight=np.array(seen.fps / _STANDING / np.sqrt(len(foot) / 2)), pixel_scale=np.array(KERNELS[0]),
        landmark_scale=np.array(3.0), shared=np.array([0.0, 0.0, floor or 0.0]), shared_precision=1.0 / spread**2,
    )  # fmt: skip
    path = starting_path(seen, chain, problem_of(evidence, subject, extra))
    return Draft(seen, humanoid, chain, evidence, subject, path, swapped, estimate, floor, told, tuple(extra), surface)


def _clip_spread(spread: float, frames: int) -> float:
    return spread / np.sqrt(max(1.0, frames / _INDEPENDENT))


def solve(draft: Draft, kernel: float) -> Fit:
    """Least squares on all frames from the draft's path.

    Args:
      kernel: standard deviations at which a pixel loses its say.
    """
    subject = draft.subject._replace(pixel_scale=np.array(kernel))
    draft = dataclasses.replace(draft, subject=subject)
    path = solve_long(problem_of(draft.evidence, subject, draft.extra, draft.surface), draft.path, _STEPS)
    return Fit(dataclasses.replace(draft, path=path))


def untangled(fit: Fit) -> Fit:
    """The fit to sightings whose left and right legs, arms or face are exchanged where that fits the path better."""
    seen, swap = exchanged_by_fit(fit.seen, fit.project(fit.places())[0])
    evidence = fit.draft.evidence._replace(
        uv=seen.uv, weight=_pixel_weight(seen, fit.draft.calibrated), landmark_weight=_landmark_weight(seen)
    )
    return Fit(dataclasses.replace(fit.draft, seen=seen, evidence=evidence, swapped=fit.draft.swapped ^ swap))


def turned(fit: Fit, turn: np.ndarray) -> Fit:
    """The fit in a world, cameras and all, that is turned (4,) about its origin."""
    draft, seen, evidence = fit.draft, fit.draft.seen, fit.draft.evidence
    view = seen.view.copy()
    view[..., :3] = view[..., :3] @ Rotation.from_quat(turn, scalar_first=True).as_matrix().T
    spun = lambda x: None if x is None else quaternion.rotate(turn, x)  # noqa: E731
    local = draft.path.local.copy()
    local[:, 0] = quaternion.multiply(turn, local[:, 0])
    return Fit(dataclasses.replace(
        draft, seen=dataclasses.replace(seen, view=view, landmark=spun(seen.landmark)),
        evidence=evidence._replace(view=view, landmark=spun(evidence.landmark)),
        path=draft.path._replace(root=quaternion.rotate(turn, draft.path.root), local=local),
        turn=quaternion.multiply(turn, draft.turn),
    ))  # fmt: skip


def grown(fit: Fit, factor: float) -> Fit:
    """The fit of a person larger by a factor and as much farther from the first camera, which sees the same."""
    view, path = fit.seen.view[:, 0], fit.path
    eye = -np.einsum("tji,tj->ti", view[..., :3], view[..., 3])
    shared = path.shared + np.log(factor) * np.eye(len(path.shared))[SCALE]
    path = path._replace(root=eye + factor * (path.root - eye), shared=shared)
    return Fit(dataclasses.replace(fit.draft, path=path))


def revise(
    fit: Fit, floor: float, *, known: bool = False, focal: float | None = None, settle: str | None = None
) -> Draft:
    """The next draft: sole points that touch the floor and stay, points where this body has them.

    Args:
      floor: m, its height. known: others stand on it too, so that it tells this person's size.
      focal: factor on the focal length, where it is settled.
      settle: fix the size: "own", a humanoid of the stature found, to the centimetre; "given", the draft's, at its own
        size where that is near. None leaves it.
    """
    draft = fit.draft
    touch = touching(fit.soles(), floor, fit.seen.fps, draft.surface)
    hold = np.zeros_like(touch)
    hold[:-1] = np.minimum(touch[:-1], touch[1:])
    subject = draft.subject._replace(
        point=draft.subject.point + _misplaced(fit),
        floor_weight=np.array(1.0 / _ON_FLOOR / np.sqrt(draft.subject.foot.shape[0] / 2)),
    )
    path = draft.path._replace(shared=_with(draft.path.shared, FLOOR, floor))
    if draft.floor is None:
        subject = _prior(subject, FLOOR, *((floor, _SHARED_FLOOR) if known else (0.0, _ANY_FLOOR)))
    if known and "stature" in draft.estimate:
        subject = _prior(subject, SCALE, 0.0, _clip_spread(STATURE_SPREAD, draft.seen.frames))
    if focal is not None:
        path = path._replace(shared=_with(path.shared, FOCAL, np.log(focal)))
        subject = _prior(subject, FOCAL, np.log(focal), _HELD)
    evidence = draft.evidence._replace(touch=touch, hold=hold, weight=_pixel_weight(draft.seen, True))
    draft = dataclasses.replace(
        draft, evidence=evidence, subject=subject, path=path, calibrated=True, shares_floor=known
    )
    return draft if settle is None else _settled(draft, fit.scale, settle == "own")


def _settled(draft: Draft, scale: float, own: bool) -> Draft:
    log_scale = 0.0 if own or abs(scale - 1.0) <= SAME_SIZE else float(draft.path.shared[SCALE])
    if own:
        stature = round(draft.humanoid.stature * scale, 2)
        factor = stature / draft.humanoid.stature
        humanoid = load_humanoid("smpl", stature=stature)
        chain, before = chain_of(humanoid), draft.subject
        subject = before._replace(
            offsets=chain.offsets[: len(BODIES)], point=before.point * factor, anchor=before.anchor * factor,
            foot=before.foot * factor,
        )  # fmt: skip
        seen = dataclasses.replace(draft.seen, points=keypoint_set(tuple(draft.seen.points.names), chain))
        landmark = None if draft.evidence.landmark is None else draft.evidence.landmark * factor
        evidence = draft.evidence._replace(landmark=landmark)
        draft = dataclasses.replace(
            draft, humanoid=humanoid, chain=chain, subject=subject, seen=seen, evidence=evidence
        )
    path = draft.path._replace(shared=_with(draft.path.shared, SCALE, log_scale))
    return dataclasses.replace(draft, path=path, subject=_prior(draft.subject, SCALE, log_scale, _HELD))


def _with(shared: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = np.array(shared, float)
    changed[index] = value
    return changed


def _prior(subject: Subject, index: int, mean: float, spread: float) -> Subject:
    return subject._replace(
        shared=_with(subject.shared, index, mean),
        shared_precision=_with(subject.shared_precision, index, 1.0 / spread**2),
    )


def _misplaced(fit: Fit) -> np.ndarray:
    """How far (K, 3) m each point is from where on this body the detector sees it, the same on both sides."""
    seen, subject = fit.seen, fit.draft.subject
    pixels, slope = fit.project(fit.places())
    _, quat = fit.pose()
    turn = fit.scale * Rotation.from_quat(quat[:, subject.body].reshape(-1, 4), scalar_first=True).as_matrix()
    slope = np.einsum("tvkia,tkab->tvkib", slope, turn.reshape(*quat[:, subject.body].shape[:2], 3, 3))
    sigma = seen.sigma(False)[..., None]
    error = seen.uv - pixels
    square = np.sum(error**2, -1) / sigma**2
    weight = (seen.confidence / sigma) ** 2 / (1.0 + square / KERNELS[1] ** 2) ** 2
    normal = np.einsum("tvk,tvkia,tvkib->kab", weight, slope, slope)
    pull = np.einsum("tvk,tvkia,tvki->ka", weight, slope, error)
    flip, mirror = np.array([-1.0, 1.0, 1.0]), seen.mirror()
    paired = (mirror != np.arange(len(mirror)))[:, None]
    normal = normal + np.where(paired[..., None], (flip[:, None] * normal * flip)[mirror], 0.0)
    offset = subject.point - seen.points.point
    both = pull + np.where(paired, (flip * pull)[mirror], 0.0)
    share = min(1.0, _INDEPENDENT / seen.frames)
    prior = 1.0 / seen.points.prior[:, None] ** 2
    step = np.linalg.solve(share * normal + prior[..., None] * np.eye(3), (share * both - prior * offset)[..., None])
    return step[..., 0]


def tells_size(seen: Sightings, floor: float | None) -> bool:
    """Whether anything states a length: cameras at different places, or the height of one over a known floor."""
    place = -np.einsum("tvji,tvj->tvi", seen.view[..., :3], seen.view[..., 3]).reshape(-1, 3)
    return floor is not None or float(np.linalg.norm(np.ptp(place, axis=0))) > _BASELINE


def _bare(name: str) -> str:
    return name[2:] if name[:2] in ("L_", "R_") else name


def _pixel_weight(seen: Sightings, calibrated: bool) -> np.ndarray:
    """1/px, (T, V, K)."""
    return seen.confidence / seen.sigma(calibrated)[..., None]


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
