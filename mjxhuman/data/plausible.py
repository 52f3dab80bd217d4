"""Whether a motion as it was read can be one of a person on earth: up axis, size, unit and time against its own joints.

Pure functions of where landmarks are, and ``question``, which turns what they say into another reading of the file
(where exactly one fits), an error that names the option (where none does), or a sentence (where the clip may be right).
"""

from __future__ import annotations

import warnings

import numpy as np

from mjxhuman.data.landmarks import Landmarks, landmarks
from mjxhuman.data.source import CHILDREN, LEG_SHARE, STATURES, Found, Source, up_rotation
from mjxhuman.options import UNITS, UP_AXES
from mjxhuman.types import BodyMotion, PointMotion, SkeletonMotion

#: Shorter clips say nothing.
_FRAMES = 10
#: Share of frames that repeat the one before, from which it is said.
_REPEATS = 0.02
#: Nobody moves faster, m/s: the fastest sprinter's top speed over 10 m was 12.3 (Berlin 2009).
FASTEST = 13.0
#: Shares of frames: a reading in which the body stands in fewer is no upright one, in more it is.
_SELDOM, _MOSTLY = 0.1, 0.9
#: Length of ``support`` (in legs) from which it says what is up; 0.28-0.47 in crawls, rolls and flips, 0.6-1.2 upright.
_SUPPORTED, _UNSUPPORTED = 0.4, 0.15
#: Wobble of the lowest point, in legs: soles stay within a few centimetres of their floor, a swinging foot does not.
_WOBBLE = 0.05
#: A path slower than this says nothing about its unit, m/s: in centimetres it would be that of a statue.
_STILL = 0.3
#: Slip of the slower foot, in speeds of the other relative to the hips, from which a translation has another unit.
_SLIP = 4.0


def axis_of(up: str) -> np.ndarray:
    """(3,) unit vector of "x", "-x", ..."""
    return np.eye(3)["xyz".index(up[-1])] * (-1.0 if up.startswith("-") else 1.0)


def upright_share(marks: Landmarks, up: np.ndarray) -> float:
    """Share of frames with the feet below the hips, the upper trunk above, and the line of both within 45 degrees."""
    feet = marks.feet.mean(axis=1)
    line = marks.top - feet
    stands = (line @ up > np.cos(np.pi / 4) * np.linalg.norm(line, axis=-1)) & ((marks.hips - feet) @ up > 0)
    stands &= (marks.top - marks.hips) @ up > 0
    seen = np.isfinite(line).all(axis=-1) & np.isfinite(marks.hips).all(axis=-1)
    return float(stands[seen].mean()) if seen.any() else 0.0


def support(marks: Landmarks) -> np.ndarray:
    """Where the body is, seen from the points that stand still: (3,), in lengths of a leg, mean over the clip.

    What a body rests on does not move, and the body is over it: standing, walking, crawling and on the hands this
    points up. It is short where nothing stands still (treadmills) or everything does (lying), and needs neither unit
    nor frame rate.
    """
    span = int(np.clip(round(0.1 * marks.fps), 1, 20))
    if len(marks.points) <= 2 * span or not marks.leg > 0:
        return np.zeros(3)
    place = marks.points[span:-span]
    speed = np.linalg.norm(marks.points[2 * span :] - marks.points[: -2 * span], axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a frame in which nothing is seen
        mean = np.nanmean(speed, axis=1, keepdims=True)
    weight = np.exp(-((speed / np.maximum(0.25 * mean, 1e-9)) ** 2))
    weight = np.where(np.isfinite(weight) & np.isfinite(place).all(axis=-1), weight, 0.0)
    rest = np.einsum("tk,tkd->td", weight, np.nan_to_num(place)) / np.maximum(weight.sum(axis=1), 1e-9)[:, None]
    centre = 0.6 * marks.hips[span:-span] + 0.4 * marks.top[span:-span]
    used = (weight.sum(axis=1) > 0) & np.isfinite(centre).all(axis=-1)
    return (centre - rest)[used].mean(axis=0) / marks.leg if used.any() else np.zeros(3)


def wobble(marks: Landmarks, up: np.ndarray) -> float:
    """Standard deviation of the height of the lowest point over the clip, in lengths of a leg."""
    heights = marks.points @ up
    lowest = np.where(np.isnan(heights), np.inf, heights).min(axis=1)
    lowest = lowest[np.isfinite(lowest)]
    return float(lowest.std() / marks.leg) if lowest.size else 0.0


def true_up(marks: Landmarks) -> tuple[str, bool]:
    """The axis along which the body stands and is supported, and whether that is sure; "z" where nothing contradicts.

    Axes are those of the motion as it was read, so "z" says that the reading is right.
    """
    stands = {name: upright_share(marks, axis_of(name)) for name in UP_AXES}
    over = {name: float(support(marks) @ axis_of(name)) for name in UP_AXES}
    best = max(over, key=lambda name: over[name])
    if over[best] >= _SUPPORTED and over["z"] <= 0.4 * over[best] and stands[best] > stands["z"] + 0.3:
        return best, True
    standing = [name for name in UP_AXES if stands[name] > _MOSTLY]
    if stands["z"] >= _SELDOM or over["z"] > _UNSUPPORTED or len(standing) != 1:
        return "z", True
    # lying straight, or standing on a treadmill in a wrong world: a body that lies has its lowest point at rest
    steady, swings = wobble(marks, axis_of(standing[0])), wobble(marks, axis_of("z"))
    if swings > _WOBBLE and steady < swings / 3:
        return standing[0], True
    return standing[0], False


def slip_of_unit(marks: Landmarks, factor: float) -> float:
    """Median speed of the slower foot with the hips' path times ``factor``, in speeds of a foot seen from the hips.

    Small where the feet stand in turns; about 1 for a path that hardly moves; many where the path is too large.
    """
    path = np.diff(marks.hips, axis=0)
    feet = np.diff(marks.feet - marks.hips[:, None], axis=0)
    speed = np.linalg.norm(feet, axis=-1)
    slip = np.linalg.norm(factor * path[:, None] + feet, axis=-1).min(axis=1)
    own = np.nanmedian(speed.max(axis=1)) if np.isfinite(speed).any() else np.nan
    return float(np.nanmedian(slip) / max(own, 1e-6 * marks.leg)) if np.isfinite(slip).any() else 0.0


def repeats(marks: Landmarks) -> float:
    """Share of frames that are exactly the frame before, of those between frames in which the body moves."""
    same = (marks.points[1:] == marks.points[:-1]).all(axis=(1, 2))
    moved = np.flatnonzero(~same)
    return float(same[moved[0] : moved[-1] + 1].mean()) if len(moved) > 1 else 0.0


def question(source: Source, motion: BodyMotion | SkeletonMotion | PointMotion) -> Found:
    """What the file has to be read again with; empty where the motion may stand as it is.

    Raises:
        MotionFileError: no reading of the file gives a person.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        if not isinstance(motion, BodyMotion) and (found := _size(source, motion)):
            return found
        marks = landmarks(motion)
        if marks is None or len(marks.hips) < _FRAMES:
            return {}
        share = repeats(marks)
        if share > _REPEATS:
            doubled = 0.4 < share < 0.6
            rate = f"as a clip of {marks.fps / 2:g} Hz stored at {marks.fps:g} Hz has" if doubled else "dropped frames"
            source.note(f"doubtful: {share:.0%} of the frames repeat the one before, {rate}: the body stops in each")
        if isinstance(motion, BodyMotion) and (found := _path(source, marks)):
            return found
        return _up(source, marks)


def _size(source: Source, motion: SkeletonMotion | PointMotion) -> Found:
    """Another unit, if the one that was used makes no human body."""
    stature, what = _stature(motion)
    low, high = 0.8 * CHILDREN[0], 1.3 * STATURES[1]  # of markers no stature is known to better than that
    if low <= stature <= high or not stature > 0:
        return {}
    metres, origin = source.used.get("unit", (1.0, ""))
    fits = [unit for unit in ("m", "cm", "mm") if low <= stature / float(metres) * UNITS[unit] <= high]
    if origin == "file" and len(fits) == 1:
        return {"unit": (UNITS[fits[0]], f"with the unit of the file {what} a body of {stature:.3g} m (--unit)")}
    if origin == "caller" or 0.5 * low < stature < 2.0 * high:  # a giant of a film, a doll: for the caller to know
        source.note(f"doubtful: {what} a body of {stature:.3g} m (--unit)")
        return {}
    raise source.error("length unit", f"{what} a body of {stature:.3g} m", "a human size, or the argument unit=")


def _stature(motion: SkeletonMotion | PointMotion, most: int = 200) -> tuple[float, str]:
    """Stature (m) by the length of the legs, else by how far the points reach; and what it was taken from."""
    marks = landmarks(motion, most)
    if marks is not None and marks.leg > 0:
        return marks.leg / LEG_SHARE, "the legs make"
    pos = np.asarray(motion.pos if isinstance(motion, PointMotion) else motion.joint_pos, np.float64)[:most]
    seen = np.asarray(motion.valid, bool)[:most]
    seen = seen if seen.ndim == 2 else np.repeat(seen[:, None], pos.shape[1], axis=1)
    used = seen.sum(axis=1) > 3
    if not used.any():
        return 0.0, ""
    low, high = (np.where(seen[..., None], pos, sign * np.inf)[used] for sign in (1.0, -1.0))
    return float(np.median((high.max(axis=1) - low.min(axis=1)).max(axis=-1))), "the points make"


def _path(source: Source, marks: Landmarks) -> Found:
    """Another unit of a body's translation, if its feet cannot have carried it as far."""
    path = np.diff(marks.hips, axis=0)
    speed = float(np.nanpercentile(np.linalg.norm(path, axis=-1), 95)) * marks.fps
    if speed < _STILL:
        return {}
    slip = slip_of_unit(marks, 1.0)
    if slip < _SLIP and speed < FASTEST:
        return {}
    metres, origin = source.used.get("unit", (1.0, "file"))
    slips = {unit: slip_of_unit(marks, UNITS[unit] / float(metres)) for unit in ("m", "cm", "mm", "inch")}
    best, second = sorted(slips, key=lambda unit: slips[unit])[:2]
    said = f"the body moves at {speed:.3g} m/s and its feet slide {slip:.0f} times as fast as they move"
    if origin not in ("caller", "found") and slips[best] < 0.5 * slips[second] and slips[best] < 0.1 * slip:
        return {"unit": (UNITS[best], f"in metres {said} (--unit)")}
    if speed > 10 * FASTEST and origin != "caller":
        most = f"at most {FASTEST:g} m/s, or the argument unit= or fps="
        raise source.error("translation", f"a body that moves at {speed:.3g} m/s", most)
    if speed > FASTEST:
        source.note(f"doubtful: {said} (--unit, --fps)")
    return {}


def _up(source: Source, marks: Landmarks) -> Found:
    """Another up axis, if the body stands along another one of the motion as it was read."""
    name, sure = true_up(marks)
    if name == "z":
        return {}
    used, origin = source.used.get("up", ("z", "file"))
    to_world = up_rotation(used)
    vector = to_world.T @ axis_of(name)  # in the file's axes
    true = next(up for up in UP_AXES if axis_of(up) @ vector > 0.9)
    said = f"the body does not stand along {used} in the clip, but along {true}"
    if not sure or origin in ("caller", "found") or "up" not in source.used:
        source.note(f"doubtful: {said}; it is left lying (--up={true} if it should stand)")
        return {}
    return {"up": (true, f"{said}, over the feet that stand still (--up)")}
