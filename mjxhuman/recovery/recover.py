"""2D keypoints of one or several cameras, with 3D landmarks where an encoder has them, to a ``Motion``: whole-clip fit.

The path of the built-in body that explains the pixels of all frames at once (``solver``): rotations of 22 joints, root,
one body scale and, on request, the focal length. Three rounds: a wide robust kernel from a starting path (``start``);
sides that the detector mixed up are put right, the world of a camera that nobody levelled is turned upright
(``vertical``), feet that stand are found and the constant places of the points on this body are estimated; then again
with a narrow kernel. People of one film go through the rounds together: they share vertical, floor and camera
(``world``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.cameras import level_camera
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import MIN_FRAMES
from mjxhuman.recovery import world
from mjxhuman.recovery.equations import FLOOR, Residual
from mjxhuman.recovery.fitting import KERNELS, Draft, Fit, begin, solve
from mjxhuman.recovery.judgement import AGREES, ENOUGH, JUDGED, judge
from mjxhuman.recovery.sightings import sightings
from mjxhuman.retarget.chain import BODIES, chain_of
from mjxhuman.retarget.ground import POLICIES, Ground
from mjxhuman.retarget.motion import Placed, place
from mjxhuman.scenes.surface import Surface, checked
from mjxhuman.types import Camera, Keypoints, Motion


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
    residuals: Sequence[Residual] = (),
    surface: Surface | None = None,
) -> Motion:
    """The motion of a person from keypoints: see ``recover_with_report``, whose motion this is."""
    return recover_with_report(
        keypoints,
        camera,
        humanoid,
        estimate=estimate,
        floor=floor,
        ground=ground,
        residuals=residuals,
        surface=surface,
    )[0]


def recover_with_report(
    keypoints: Keypoints,
    camera: Camera | None = None,
    humanoid: Humanoid | None = None,
    *,
    estimate: tuple[str, ...] | None = None,
    floor: float | None = None,
    ground: str = "stance",
    residuals: Sequence[Residual] = (),
    surface: Surface | None = None,
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
      residuals: what else is known of the motion, T rows each; in the cameras' world, turned upright by the fit where
        gravity is estimated.
      surface: what the soles stand on, in the world of a camera that is given and level; None is a level floor. It
        stays where it is, lifted by ``floor``, and the motion with it: ``ground`` must be "none".

    Returns:
      The motion, with frames in which too little of the body was seen marked invalid, and the report.

    Raises:
      ValueError: shapes, names or arguments that do not fit, too few frames, a person never seen well enough.
    """
    (found,) = recover_people(
        [keypoints],
        camera,
        humanoid,
        estimate=estimate,
        floor=floor,
        ground=ground,
        residuals=[residuals],
        surface=surface,
    )
    if isinstance(found, ValueError):
        raise found
    return found


def recover_people(
    people: Sequence[Keypoints],
    camera: Camera | None = None,
    humanoid: Humanoid | None = None,
    *,
    estimate: tuple[str, ...] | None = None,
    floor: float | None = None,
    ground: str = "stance",
    residuals: Sequence[Sequence[Residual]] | None = None,
    surface: Surface | None = None,
) -> list[tuple[Motion, Recovery] | ValueError]:
    """Recover the motion of people who are in one film together: in one world, levelled, grounded and placed as one.

    Args:
      people: keypoints of each, of the same frames. residuals: of each.
      Others as ``recover_with_report``.

    Returns:
      Motion and report of each, or the error why there are none.

    Raises:
      ValueError: arguments that do not fit.
    """
    if ground not in POLICIES:
        raise ValueError(f"ground: expected one of {', '.join(POLICIES)}, found {ground!r}")
    camera, estimate = _checked(people, camera, estimate)
    if surface is not None:
        _check_surface(surface, estimate, ground)
        floor = floor or 0.0
    base = humanoid or load_humanoid("smpl")
    results: list[tuple[Motion, Recovery] | ValueError | None] = [None] * len(people)
    drafts: dict[int, Draft] = {}
    for k, (keypoints, extra) in enumerate(zip(people, residuals or [()] * len(people), strict=True)):
        try:
            drafts[k] = begin(sightings(keypoints, camera, chain_of(base)), base, estimate, floor, extra, surface)
        except ValueError as error:
            results[k] = error
    fits = [solve(draft, KERNELS[0]) for draft in drafts.values()]
    for kernel in KERNELS[1:] if fits else ():
        size = None if kernel != KERNELS[-1] else "own" if humanoid is None else "given"
        fits = [solve(draft, kernel) for draft in world.revised(fits, size)]
    judged = {k: (fit, *judge(fit)) for k, fit in zip(drafts, fits, strict=True)}
    for k, (_, valid, _) in judged.items():
        if not valid.any():
            results[k] = ValueError(
                f"{people[k].provenance.path or 'keypoints'}: found no frame in which {ENOUGH} of {len(JUDGED)} joints "
                "from shoulders to ankles can be told, expected a person seen from head to foot"
            )
    good = {k: one for k, one in judged.items() if results[k] is None}
    for k, found in zip(good, _finished([(people[k], *one) for k, one in good.items()], camera, ground), strict=True):
        results[k] = found
    return [result for result in results if result is not None]


def _checked(
    people: Sequence[Keypoints], camera: Camera | None, estimate: tuple[str, ...] | None
) -> tuple[Camera, tuple[str, ...]]:
    if not people:
        raise ValueError("keypoints: expected one person or more, found none")
    if camera is None:
        camera = level_camera(people[0].image_size)
        estimate = ("stature", "gravity") if estimate is None else estimate
    estimate = ("stature",) if estimate is None else tuple(estimate)
    unknown = set(estimate) - {"stature", "focal", "gravity"}
    if unknown:
        raise ValueError(f"estimate: expected 'stature', 'focal' or 'gravity', found {', '.join(sorted(unknown))}")
    frames = np.shape(people[0].confidence)[-2]
    if frames < MIN_FRAMES:
        raise ValueError(f"keypoints: expected at least {MIN_FRAMES} frames, found {frames}")
    for one in people[1:]:
        if np.shape(one.confidence)[-2] != frames or one.fps != people[0].fps:
            raise ValueError(
                f"keypoints: expected the same frames of everyone, {frames} at {people[0].fps:g} Hz, found "
                f"{np.shape(one.confidence)[-2]} at {one.fps:g} Hz"
            )
    return camera, estimate


def _check_surface(surface: Surface, estimate: tuple[str, ...], ground: str) -> None:
    checked(surface)
    if "gravity" in estimate:
        raise ValueError("surface: expected a camera whose world is level, found none or gravity to be estimated")
    if ground != "none":
        raise ValueError(f"ground: expected none beside a surface, found {ground!r}")


#: Keypoints, fit, valid frames (T,) and known joints (T, 24) of one person.
_Judged = tuple[Keypoints, Fit, np.ndarray, np.ndarray]


def _finished(people: Sequence[_Judged], camera: Camera, ground: str) -> list[tuple[Motion, Recovery]]:
    """Motions, grounded together, and reports; the scene is scaled to the humanoid where that is another size."""
    if not people:
        return []
    sizes = [1.0 if abs(fit.scale - 1.0) < 1e-6 else 1.0 / fit.scale for _, fit, _, _ in people]
    scene = sizes[0] if len(people) == 1 else float(np.exp(np.mean(np.log(sizes))))
    paths = []
    for (_, fit, valid, _), size in zip(people, sizes, strict=True):
        # each at the own size about the place to stand, those places at the size of the scene
        stand = np.array([*fit.path.root[valid, :2].mean(0), fit.path.shared[FLOOR]])
        notes = [*camera.provenance.conventions, *_sentences(fit, valid)]
        paths.append(Placed(size * fit.path.root + (scene - size) * stand, fit.path.local.copy(), notes))
    grounds = world.grounded(
        [(fit, path, valid) for (_, fit, valid, _), path in zip(people, paths, strict=True)], ground
    )
    return [
        _concluded(*person, path, moves, size, scene, camera)
        for person, path, moves, size in zip(people, paths, grounds, sizes, strict=True)
    ]


def _concluded(
    keypoints: Keypoints,
    fit: Fit,
    valid: np.ndarray,
    known: np.ndarray,
    path: Placed,
    moves: tuple[Ground, Ground],
    size: float,
    scene: float,
    camera: Camera,
) -> tuple[Motion, Recovery]:
    """Motion and report of one person: moved with the camera to the floor, own size and scene's scaled by so much."""
    source = dataclasses.replace(keypoints, uv=None, confidence=None, pos3d=None)  # its rate and provenance
    (found, above), moved = moves, path.root - size * fit.path.root
    motion, _ = place(fit.draft.humanoid, path, valid, source, size, found)
    lens = np.moveaxis(fit.seen.lens, 1, 0)
    matrix = np.tile(np.eye(3), (*lens.shape[:2], 1, 1))
    matrix[..., [0, 1], [0, 1]] = fit.focal * lens[..., :2]
    matrix[..., :2, 2] = lens[..., 2:]
    distortion = np.broadcast_to(camera.distortion, (*lens.shape[:2], 4))
    levelled = Camera(
        matrix, _moved(fit.seen.view, scene, above.quat, above.offset), distortion, camera.image_size, camera.provenance
    )
    places = fit.places()
    points = quaternion.rotate(found.quat, size * places + moved[:, None]) + np.array([0.0, 0.0, found.offset])
    uv, _ = lens_model.project(places[None], matrix, _moved(fit.seen.view), distortion)
    distance = np.linalg.norm(fit.project(places)[0] - fit.seen.uv, axis=-1)
    distance = np.where(fit.seen.confidence > 0, distance, np.nan).reshape(fit.seen.frames, -1)
    reprojection = np.full(fit.seen.frames, np.nan)
    some = np.isfinite(distance).any(1)
    reprojection[some] = np.nanmedian(distance[some], axis=1)
    sides = [np.array([BODIES[b].startswith(s) for b in fit.draft.subject.foot_body]) for s in ("L_", "R_")]
    report = Recovery(
        camera=levelled, reprojection=reprojection, uv=np.asarray(uv), names=tuple(fit.seen.points.names),
        points=points, known=known, swapped=fit.draft.swapped,
        contact=np.stack([fit.draft.evidence.touch[:, side].max(1) for side in sides], 1),
        stature=fit.stature, focal=fit.focal, tilt=float(quaternion.angle(fit.draft.turn)),
        notes=tuple(motion.provenance.retarget),
    )  # fmt: skip
    return motion, report


def _moved(view: np.ndarray, size: float = 1.0, quat: np.ndarray | None = None, offset: float = 0.0) -> np.ndarray:
    """``T_world_camera (V, T, 4, 4)`` of world-to-camera ``(T, V, 3, 4)`` after scaling and grounding the world."""
    turn = np.swapaxes(view[..., :3], -1, -2)
    place = -np.einsum("tvij,tvj->tvi", turn, view[..., 3]) * size
    level = np.eye(3) if quat is None else Rotation.from_quat(quat, scalar_first=True).as_matrix()
    pose = np.tile(np.eye(4), (*view.shape[:2], 1, 1))
    pose[..., :3, :3] = level @ turn
    pose[..., :3, 3] = place @ level.T + np.array([0.0, 0.0, offset])
    return np.moveaxis(pose, 1, 0)


def _sentences(fit: Fit, valid: np.ndarray) -> list[str]:
    misfit, views = fit.misfit(), fit.seen.size.shape[1]
    pixels = misfit * fit.seen.sigma(True)[..., None]
    outliers = np.nanmean(np.where(np.isnan(misfit), np.nan, misfit > AGREES))
    median = np.nanmedian(pixels)
    lines = [
        f"fitted to {len(fit.seen.points.names)} keypoints in {views} camera{'s' if views > 1 else ''}"
        + (" and 3D landmarks" if fit.seen.landmark is not None else ""),
        f"reprojection: median {median:.1f} px ({median / np.median(fit.seen.size):.1%} of the person's size), "
        f"{outliers:.0%} of the sightings further off than {AGREES:g} standard deviations",
        f"stature {fit.stature:.2f} m{_size_told(fit)}",
    ]
    if "gravity" in fit.draft.estimate:
        lines.append(
            f"cameras turned by {np.rad2deg(quaternion.angle(fit.draft.turn)):.1f} deg: people stand over their feet"
        )
    if "focal" in fit.draft.estimate:
        lines.append(f"focal length {fit.focal:.2f} times the given one")
    swapped = fit.draft.swapped.any(1)
    if swapped.any():
        lines.append(f"left and right exchanged in {int(swapped.sum())} frames, where they were mixed up")
    if not valid.all():
        lines.append(f"{int((~valid).sum())} of {len(valid)} frames invalid: too little of the body was seen")
    return lines


def _size_told(fit: Fit) -> str:
    if fit.draft.size_told:
        return ""
    if fit.draft.shares_floor and "stature" in fit.draft.estimate:
        return (
            " by the floor that people share: one camera that stands still tells their sizes against each other, not "
            "that of all from distance"
        )
    return " taken as given: one camera that stands still cannot tell size from distance"
