"""2D keypoints of one or several cameras, with 3D landmarks where an encoder has them, to a ``Motion``: whole-clip fit.

The path of the built-in body that explains the pixels of all frames at once (``clip``): rotations of 22 joints, root,
one body scale and, on request, the focal length. Three rounds: a wide robust kernel from a starting path (``start``);
sides that the detector mixed up are put right, the world of a camera that nobody levelled is turned upright
(``vertical``), feet that stand are found and the constant places of the points on this body are estimated; then again
with a narrow kernel.

What nobody saw is not invented: a joint counts as known where it, or one further out on its limb, was seen within
``HORIZON`` and agrees with the fit, and a frame is valid where most of the body is known.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.cameras import level_camera
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import MIN_FRAMES
from mjxhuman.recovery.fitting import KERNELS, Fit
from mjxhuman.recovery.sightings import sightings
from mjxhuman.retarget.chain import BODIES, INDEX, chain_of
from mjxhuman.retarget.ground import POLICIES, Ground
from mjxhuman.retarget.motion import Placed, place
from mjxhuman.types import Camera, Keypoints, Motion

#: s that a point may be out of sight while its joint still counts as known.
HORIZON = 0.25
_AGREES = 4.0  # standard deviations within which a sighting supports the fit
#: Joints by which a frame is judged, and how many of the twelve must be known.
_JUDGED = tuple(f"{s}_{j}" for j in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for s in "LR")
_ENOUGH = 8


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What ``recover_with_report`` found besides the motion; T frames, V views, arrays NumPy."""

    camera: Camera  # in the motion's world, with what was estimated; (V, T, ...)
    reprojection: np.ndarray  # (T,) px, median over the points seen, all views; NaN where none was
    uv: np.ndarray  # (V, T, K, 2) px (as given, lens included) where the fitted body has the points
    names: tuple[str, ...]  # (K,) canonical
    points: np.ndarray  # (T, K, 3) m, the points on the fitted body, world
    known: np.ndarray  # (T, 24) SMPL joints that were seen, or nearly
    swapped: np.ndarray  # (T, V) frames in which sides were put right
    contact: np.ndarray  # (T, 2) 0..1 left and right foot on the floor
    stature: float  # m
    focal: float  # factor on the given focal length
    tilt: float  # rad by which the camera was turned to be level
    notes: tuple[str, ...]


def recover_motion(
    keypoints: Keypoints,
    camera: Camera | None = None,
    humanoid: Humanoid | None = None,
    *,
    estimate: tuple[str, ...] | None = None,
    floor: float | None = None,
    ground: str = "stance",
) -> Motion:
    """The motion of a person from keypoints: see ``recover_with_report``, whose motion this is."""
    return recover_with_report(keypoints, camera, humanoid, estimate=estimate, floor=floor, ground=ground)[0]


def recover_with_report(
    keypoints: Keypoints,
    camera: Camera | None = None,
    humanoid: Humanoid | None = None,
    *,
    estimate: tuple[str, ...] | None = None,
    floor: float | None = None,
    ground: str = "stance",
) -> tuple[Motion, Recovery]:
    """Recover one person's motion from keypoints.

    Args:
      keypoints: ``uv (T, K, 2)``, or of V synchronous cameras ``(V, T, K, 2)``; names in any usual spelling. ``pos3d``,
        of one camera, is used where it is there.
      camera: the same view axis, T frames or one; world z up. None: ``level_camera`` of the image size.
      humanoid: the body; None takes the built-in one at the stature that the fit finds, 1.71 m where nothing tells it:
        one camera that stands still over an unknown floor sees the same picture of a smaller person nearer by. On a
        body more than 2 % taller or shorter than the subject, the whole scene is scaled about the floor's origin.
      estimate: what is not known, of "stature", "focal" and "gravity" (tilt of the cameras' world); default stature,
        and gravity where no camera is given.
      floor: height (m) of the floor in the camera's world, where it is known.
      ground: "none", "lowest", "stance" or "plane", see ``mjxhuman.retarget.ground``; cameras move along.

    Returns:
      The motion, with frames in which too little of the body was seen marked invalid, and the report.

    Raises:
      ValueError: shapes, names or arguments that do not fit, too few frames, a person never seen well enough.
    """
    if ground not in POLICIES:
        raise ValueError(f"ground: expected one of {', '.join(POLICIES)}, found {ground!r}")
    camera, estimate = _checked(keypoints, camera, estimate)
    base = humanoid or load_humanoid("smpl")
    fit = Fit.begin(sightings(keypoints, camera, chain_of(base)), base, estimate, floor)
    fit.solve(KERNELS[0], 20)
    for round_kernel in KERNELS[1:]:
        fit.untangle()
        fit.level()
        fit.stand()
        fit.place_points()
        if round_kernel == KERNELS[-1]:
            fit.settle_size(humanoid is None)
        fit.solve(round_kernel, 20)
    valid, known = _judged(fit)
    if not valid.any():
        raise ValueError(
            f"{keypoints.provenance.path or 'keypoints'}: found no frame in which {_ENOUGH} of {len(_JUDGED)} joints "
            "from shoulders to ankles can be told, expected a person seen from head to foot"
        )
    return _finished(fit, keypoints, camera, valid, known, ground)


def _checked(
    keypoints: Keypoints, camera: Camera | None, estimate: tuple[str, ...] | None
) -> tuple[Camera, tuple[str, ...]]:
    if camera is None:
        camera = level_camera(keypoints.image_size)
        estimate = ("stature", "gravity") if estimate is None else estimate
    estimate = ("stature",) if estimate is None else tuple(estimate)
    unknown = set(estimate) - {"stature", "focal", "gravity"}
    if unknown:
        raise ValueError(f"estimate: expected 'stature', 'focal' or 'gravity', found {', '.join(sorted(unknown))}")
    frames = np.shape(keypoints.confidence)[-2]
    if frames < MIN_FRAMES:
        raise ValueError(f"keypoints: expected at least {MIN_FRAMES} frames, found {frames}")
    return camera, estimate


_LIMBS = (("Hip", "Knee", "Ankle", "Toe"), ("Shoulder", "Elbow", "Wrist", "Hand"))
_TRUNK = ("Pelvis", "Torso", "Spine", "Chest", "L_Thorax", "R_Thorax")


def _supports(joint: str, seen: str) -> bool:
    """Whether a point near the joint ``seen`` tells where ``joint`` is: its own, or further out on its limb."""
    if joint in _TRUNK:
        return seen in _TRUNK or seen[2:] in ("Hip", "Shoulder") or seen == "Neck"
    if joint in ("Neck", "Head"):
        return seen in ("Neck", "Head")
    for limb in _LIMBS:
        if joint[2:] in limb:
            outer = limb[min(limb.index(joint[2:]), 2) :]
            return joint[:2] == seen[:2] and seen[2:] in outer
    return False


def _judged(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Frames ``(T,)`` that are valid, and joints ``(T, 24)`` that are known."""
    agrees = (np.nan_to_num(fit.misfit(), nan=np.inf) < _AGREES).any(1)  # (T, K)
    joint = [INDEX[place.joint] for place in fit.seen.points.places]
    supports = np.zeros((len(INDEX), len(joint)), bool)
    for name, index in INDEX.items():
        supports[index] = [_supports(name, list(INDEX)[j]) for j in joint]
    known = (agrees[:, None] & supports).any(-1)
    radius = int(HORIZON * fit.seen.fps)
    padded = np.pad(known, ((radius, radius), (0, 0)))
    known = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0).any(-1)
    return known[:, [INDEX[name] for name in _JUDGED]].sum(1) >= _ENOUGH, known


def _finished(
    fit: Fit, keypoints: Keypoints, camera: Camera, valid: np.ndarray, known: np.ndarray, ground: str
) -> tuple[Motion, Recovery]:
    """The motion, grounded, and the report; the scene is scaled to the humanoid where that is another size."""
    notes = [*camera.provenance.conventions, *_sentences(fit, valid)]
    size = 1.0 if abs(fit.scale - 1.0) < 1e-6 else 1.0 / fit.scale
    placed = Placed(size * fit.path.root, fit.path.local.copy(), notes)
    source = dataclasses.replace(keypoints, uv=None, confidence=None, pos3d=None)  # its rate and provenance
    motion, _, found = place(fit.humanoid, placed, valid, source, size, ground)
    lens = np.moveaxis(fit.frames.lens, 1, 0)
    world = _moved(fit.frames.view, size, found)
    matrix = np.tile(np.eye(3), (*lens.shape[:2], 1, 1))
    matrix[..., [0, 1], [0, 1]] = np.exp(fit.path.shared[1]) * lens[..., :2]
    matrix[..., :2, 2] = lens[..., 2:]
    distortion = np.broadcast_to(camera.distortion, (*lens.shape[:2], 4))
    levelled = Camera(matrix, world, distortion, camera.image_size, camera.provenance)
    points = quaternion.rotate(found.quat, size * fit.places()) + np.array([0.0, 0.0, found.offset])
    uv, _ = lens_model.project(points[None], matrix, world, distortion)
    distance = np.linalg.norm(fit.project(fit.places())[0] - fit.seen.uv, axis=-1)
    distance = np.where(fit.seen.confidence > 0, distance, np.nan).reshape(fit.seen.frames, -1)
    reprojection = np.full(fit.seen.frames, np.nan)
    some = np.isfinite(distance).any(1)
    reprojection[some] = np.nanmedian(distance[some], axis=1)
    sides = [np.array([BODIES[b].startswith(s) for b in fit.body.foot_body]) for s in ("L_", "R_")]
    report = Recovery(
        camera=levelled, reprojection=reprojection, uv=np.asarray(uv), names=tuple(fit.seen.points.names),
        points=points, known=known, swapped=fit.swapped,
        contact=np.stack([fit.frames.touch[:, side].max(1) for side in sides], 1),
        stature=fit.humanoid.stature * fit.scale, focal=float(np.exp(fit.path.shared[1])),
        tilt=float(quaternion.angle(fit.turn)), notes=tuple(motion.provenance.retarget),
    )  # fmt: skip
    return motion, report


def _moved(view: np.ndarray, size: float, ground: Ground) -> np.ndarray:
    """``T_world_camera (V, T, 4, 4)`` of world-to-camera ``(T, V, 3, 4)`` after scaling and grounding the world."""
    turn = np.swapaxes(view[..., :3], -1, -2)
    place = -np.einsum("tvij,tvj->tvi", turn, view[..., 3]) * size
    level = Rotation.from_quat(ground.quat, scalar_first=True).as_matrix()
    pose = np.tile(np.eye(4), (*view.shape[:2], 1, 1))
    pose[..., :3, :3] = level @ turn
    pose[..., :3, 3] = place @ level.T + np.array([0.0, 0.0, ground.offset])
    return np.moveaxis(pose, 1, 0)


def _sentences(fit: Fit, valid: np.ndarray) -> list[str]:
    misfit, views = fit.misfit(), fit.seen.size.shape[1]
    pixels = misfit * fit.seen.sigma(True)[..., None]
    outliers = np.nanmean(np.where(np.isnan(misfit), np.nan, misfit > _AGREES))
    median = np.nanmedian(pixels)
    lines = [
        f"fitted to {len(fit.seen.points.names)} keypoints in {views} camera{'s' if views > 1 else ''}"
        + (" and 3D landmarks" if fit.seen.landmark is not None else ""),
        f"reprojection: median {median:.1f} px ({median / np.median(fit.seen.size):.1%} of the person's size), "
        f"{outliers:.0%} of the sightings further off than {_AGREES:g} standard deviations",
        f"stature {fit.humanoid.stature * fit.scale:.2f} m"
        + ("" if fit.size_told else " taken as given: one camera that stands still cannot tell size from distance"),
    ]
    if fit.unlevelled:
        lines.append(
            f"cameras turned by {np.rad2deg(quaternion.angle(fit.turn)):.1f} deg: people stand over their feet"
        )
    if fit.body.shared_precision[1] < 1e6:
        lines.append(f"focal length {np.exp(fit.path.shared[1]):.2f} times the given one")
    if fit.swapped.any():
        lines.append(f"left and right exchanged in {int(fit.swapped.any(1).sum())} frames, where they were mixed up")
    if not valid.all():
        lines.append(f"{int((~valid).sum())} of {len(valid)} frames invalid: too little of the body was seen")
    return lines
