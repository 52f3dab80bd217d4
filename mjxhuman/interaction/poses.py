"""Procedural references: people who sit, lean back, lean on a table, step up and lie, for furniture of any height.

    motion = sitting(humanoid, 0.45)

Key poses say where the pelvis and the ankles are and how trunk and arms are bent; between them all of it follows
minimum-jerk curves (Flash and Hogan 1985, J Neurosci 5:1688), and the legs reach for their ankles: planted feet stay.
People face +x. Where furniture belongs is in the motion's provenance. No randomness: equal arguments, equal motions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import mujoco
import numpy as np
from jaxtyping import Float

from mjxhuman.humanoids.contacts import furniture_points
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.types import Motion, Provenance

#: Frames per second of the references, and seconds that their first and last poses are held.
FPS, HOLD = 30.0, 0.8
#: rad; shanks lean forward by so much on a seat, as people put their feet before they rise.
SHANK = np.radians(12.0)
#: m that the centre of mass stays before the ankles: the middle of the foot, and of one who sits down its heel.
MIDDLE, HEEL = 0.04, 0.0
#: rad; most that a pelvis leans forward, and that thighs slope on a seat.
PITCH, SLOPE = np.radians(60.0), np.radians(50.0)
#: rad; arms of who leans forward to sit down or rise, forward from the vertical: hands are over the thighs.
REACH = 1.1
#: Share of the trunk's bend in each joint of the spine.
SPINE = {"Torso": 0.4, "Spine": 0.3, "Chest": 0.3}
#: Facing +x: the body's frame has x to the left, y up and z forward.
_UPRIGHT = np.array([0.5, 0.5, 0.5, 0.5])
_X, _Y, _Z = np.eye(3)


@dataclasses.dataclass(frozen=True)
class Key:
    """A pose of someone who faces +x: metres and radians, world axes."""

    hips: tuple[float, float, float]  # the middle between the hip joints
    left: tuple[float, float]  # ankle, x and z
    right: tuple[float, float]
    seconds: float = 1.0  # from the key before
    pitch: float = 0.0  # of the pelvis, forward
    bend: float = 0.0  # of the spine, forward
    neck: float = 0.0  # likewise
    shoulder: float = 0.1  # of the arms, forward from hanging along the trunk
    elbow: float = 0.2
    palms: float = 0.0  # 1: hands flat, fingers forward
    foot: float = 0.0  # of the soles, toes down


class Poser:
    """Key poses of one body, as coordinates and as what they show: sizes, balance, skin.

    Raises:
      ValueError: not the built-in body, or another of its frames and ball joints.
    """

    def __init__(self, humanoid: Humanoid) -> None:
        frame, points = humanoid.smpl_frame, furniture_points(humanoid)
        if frame is None or points is None or not np.allclose(np.abs(frame), [1, 0, 0, 0]) or humanoid.layout != "ball":
            raise ValueError(f"humanoid {humanoid.name!r}: expected the built-in body with ball joints")
        self.humanoid, self.points = humanoid, points
        place = {name: np.array(humanoid.model.body(name).pos) for name in humanoid.body_names[2:]}
        self.hip, self.thigh, self.shank = place["L_Hip"], place["L_Knee"], place["L_Ankle"]
        ankle = points.body_id == humanoid.body_names.index("L_Ankle")
        #: m: ankle over its sole, hip joint over a seat, from it along the thigh to where flesh rests on one, leg.
        self.sole = float(-points.offset[ankle, 1].min())
        thigh = points.body_id == humanoid.body_names.index("L_Hip")
        self.buttock = float(points.radius[thigh].max())
        near = thigh & (points.group == points.group_names.index("Pelvis"))
        self.flesh = float(np.linalg.norm(points.offset[near], axis=1).max())
        self.leg = float(np.linalg.norm(self.thigh) + np.linalg.norm(self.shank))
        self.stance = float(self.hip[0] + self.thigh[0] + self.shank[0])  # m, ankle from the middle
        self._data = mujoco.MjData(humanoid.model)

    def qpos(self, keys: Sequence[Key]) -> Float[np.ndarray, "T nq"]:
        """Coordinates of poses."""
        value = {f.name: np.array([getattr(k, f.name) for k in keys], float) for f in dataclasses.fields(Key)}
        model, count = self.humanoid.model, len(keys)
        qpos = np.tile(model.qpos0, (count, 1))

        def put(joint: str, q: np.ndarray) -> None:
            start = model.joint(joint).qposadr[0]
            qpos[:, start : start + 4] = q

        root = quaternion.multiply(np.tile(_UPRIGHT, (count, 1)), quaternion.about(_X, value["pitch"]))
        qpos[:, 3:7] = root
        qpos[:, :3] = value["hips"] - quaternion.rotate(root, np.tile(self.hip * [0, 1, 1], (count, 1)))
        for joint, share in SPINE.items():
            put(joint, quaternion.about(_X, share * value["bend"]))
        put("Neck", quaternion.about(_X, value["neck"]))
        trunk = quaternion.multiply(root, quaternion.about(_X, value["bend"]))
        sole = quaternion.multiply(np.tile(_UPRIGHT, (count, 1)), quaternion.about(_X, value["foot"]))
        for name, side in (("left", 1.0), ("right", -1.0)):
            letter = name[0].upper()
            ankle = np.stack([value[name][:, 0], np.full(count, side * self.stance), value[name][:, 1]], 1)
            start = qpos[:, :3] + quaternion.rotate(root, np.tile(self.hip * [side, 1, 1], (count, 1)))
            hip, knee = self._leg(quaternion.rotate(quaternion.conjugate(root), ankle - start), side)
            put(f"{letter}_Hip", hip)
            put(f"{letter}_Knee", knee)
            shank = quaternion.multiply(quaternion.multiply(root, hip), knee)
            put(f"{letter}_Ankle", quaternion.multiply(quaternion.conjugate(shank), sole))
            down = np.full(count, -side * np.radians(80.0))
            arm = quaternion.multiply(quaternion.about(_X, -value["shoulder"]), quaternion.about(_Z, down))
            elbow = quaternion.about(_Y, -side * value["elbow"])
            put(f"{letter}_Shoulder", arm)
            put(f"{letter}_Elbow", elbow)
            fore = quaternion.multiply(quaternion.multiply(trunk, arm), elbow)
            flat = quaternion.from_matrix(np.stack([side * _X, _Z, -side * _Y], 1))
            turn = quaternion.multiply(quaternion.conjugate(fore), np.tile(flat, (count, 1)))
            put(f"{letter}_Wrist", quaternion.interpolate(np.array([1.0, 0, 0, 0]), turn, value["palms"][:, None]))
        return qpos

    def _leg(self, reach: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotations of hip and knee with which the ankle lies ``reach`` (T, 3) from the hip joint, pelvis axes."""
        k, s = self.thigh * [side, 1, 1], self.shank * [side, 1, 1]
        even = k @ k + s @ s + 2 * k[0] * s[0]
        a, b = 2 * (k[1] * s[1] + k[2] * s[2]), 2 * (k[2] * s[1] - k[1] * s[2])
        ratio = np.clip((np.sum(reach**2, 1) - even) / np.hypot(a, b), -1.0, 1.0)
        knee = quaternion.about(_X, np.arctan2(b, a) + np.arccos(ratio))
        v = k + quaternion.rotate(knee, np.tile(s, (len(reach), 1)))
        # aside about z, then forward or backward about x, as far as that is
        plane = np.hypot(v[:, 0], v[:, 1])
        aside = -np.arccos(np.clip(reach[:, 0] / plane, -1.0, 1.0)) - np.arctan2(v[:, 1], v[:, 0])
        turn = quaternion.about(_Z, aside)
        v = quaternion.rotate(turn, v)
        swing = np.arctan2(reach[:, 2], reach[:, 1]) - np.arctan2(v[:, 2], v[:, 1])
        return quaternion.multiply(quaternion.about(_X, swing), turn), knee

    def _posed(self, key: Key) -> mujoco.MjData:
        self._data.qpos[:] = self.qpos([key])[0]
        mujoco.mj_kinematics(self.humanoid.model, self._data)
        mujoco.mj_comPos(self.humanoid.model, self._data)
        return self._data

    def com(self, key: Key) -> np.ndarray:
        """Centre of mass (3,), m."""
        return self._posed(key).subtree_com[0].copy()

    def lowest(self, key: Key, groups: Sequence[str]) -> float:
        """Height of the lowest skin of some groups of contact points, m."""
        data, p = self._posed(key), self.points
        use = np.isin(p.group, [p.group_names.index(g) for g in groups])
        turn = data.xmat[p.body_id].reshape(-1, 3, 3)
        centre = data.xpos[p.body_id] + np.einsum("pij,pj->pi", turn, p.offset)
        return float((centre[:, 2] - p.radius)[use].min())

    def standing(self, x: float = 0.0, floor: float = 0.0, **changes: float) -> Key:
        """Someone who stands with the ankles at x."""
        ankle = (x, floor + self.sole)
        key = Key((x, 0.0, floor + self.sole + 0.985 * self.leg), ankle, ankle, **changes)
        return self.over(key, (x + MIDDLE, 0.0))

    def over(self, key: Key, place: tuple[float, float]) -> Key:
        """The key with the hips moved so that the centre of mass is over a place, m."""
        for _ in range(4):
            com = self.com(key)
            hips = (key.hips[0] + place[0] - com[0], key.hips[1] + place[1] - com[1], key.hips[2])
            key = dataclasses.replace(key, hips=hips)
        return key

    def motion(self, keys: Sequence[Key], fps: float, recipe: str) -> Motion:
        """The motion through keys; the first and the last are held."""
        keys = [keys[0], dataclasses.replace(keys[0], seconds=HOLD), *keys[1:]]
        keys.append(dataclasses.replace(keys[-1], seconds=HOLD))
        times = np.cumsum([0.0, *(k.seconds for k in keys[1:])])
        at = np.arange(int(times[-1] * fps) + 1) / fps
        part = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(keys) - 2)
        t = np.clip((at - times[part]) / np.diff(times)[part], 0.0, 1.0)
        smooth = t**3 * (10 - 15 * t + 6 * t**2)
        frames = [_between(keys[i], keys[i + 1], float(s)) for i, s in zip(part, smooth, strict=True)]
        provenance = Provenance(format="procedural", conventions=(recipe,))
        return motion_from_qpos(self.humanoid, self.qpos(frames), fps, provenance=provenance)


def _between(a: Key, b: Key, share: float) -> Key:
    def mix(x: float | tuple[float, ...], y: float | tuple[float, ...]) -> float | tuple[float, ...]:
        found = (1 - share) * np.asarray(x) + share * np.asarray(y)
        return tuple(found.tolist()) if found.ndim else float(found)

    return Key(**{f.name: mix(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Key)})  # type: ignore[arg-type]


def sitting(
    humanoid: Humanoid, seat_height: float, *, lean: float = 0.0, rise: bool = False, fps: float = FPS
) -> Motion:
    """Someone who stands, sits down and stays, or rises again; seated, the hip joints are over x = 0.

    Args:
      humanoid: the built-in body, of any size.
      seat_height: m, of a flat seat around x = 0 that ends behind the calves; a high one, before which thighs slope
        down, at most 0.12 m (of 1.71 m) before the hip joints.
      lean: rad by which the seated person leans back in the end.
      rise: whether the person stands up again.
      fps: frames per second.

    Raises:
      ValueError: another body, or a seat on which the feet are not on the floor or the thighs steeper than ``SLOPE``.
    """
    p = Poser(humanoid)
    thigh, knee = float(np.linalg.norm(p.thigh)), p.sole + float(np.linalg.norm(p.shank)) * np.cos(SHANK)
    # down from a high seat, thighs lie on it with their flesh before the hip joints
    level = knee - p.buttock
    low, high = level - np.sin(SLOPE) * thigh, level + np.sin(SLOPE) * (thigh - p.flesh)
    if not low <= seat_height <= high:
        raise ValueError(f"seat_height: expected {low:.2f} to {high:.2f} m for this body, found {seat_height:g} m")
    up = level - seat_height
    slope = float(np.arcsin(up / (thigh if up > 0 else thigh - p.flesh)))
    hip = knee - thigh * np.sin(slope)
    shank = float(np.linalg.norm(p.shank))
    ankle = (thigh * np.cos(slope) - shank * np.sin(SHANK), p.sole)
    upright = Key((0.0, 0.0, hip), ankle, ankle, pitch=-0.1, bend=0.15, shoulder=0.35, elbow=0.9, seconds=0.9)
    stand = p.standing(ankle[0])
    down = dataclasses.replace(upright, bend=0.5, elbow=0.3, seconds=1.6)
    low, high = 0.0, PITCH  # lean forward until the feet could carry
    for _ in range(12):
        middle = 0.5 * (low + high)
        down = dataclasses.replace(down, pitch=middle, shoulder=middle + down.bend + REACH)
        low, high = (middle, high) if p.com(down)[0] < ankle[0] + HEEL else (low, middle)
    keys = [stand, down, upright]
    if lean:
        keys.append(dataclasses.replace(upright, pitch=-lean, bend=0.0, shoulder=0.4, elbow=0.4, seconds=1.0))
    if rise:
        stay = dataclasses.replace(keys[-1], seconds=HOLD)
        keys += [stay, dataclasses.replace(down, seconds=1.0), dataclasses.replace(stand, seconds=1.6)]
    what = "sit, lean back" if lean else "sit"
    return p.motion(keys, fps, f"{what}: seat at {seat_height:.3f} m under x = 0, ankles at x = {ankle[0]:.3f} m")


def leaning_back(humanoid: Humanoid, seat_height: float, *, lean: float = 0.35, fps: float = FPS) -> Motion:
    """Someone who sits down and leans back by ``lean`` rad: see ``sitting``."""
    return sitting(humanoid, seat_height, lean=lean, fps=fps)


def leaning_on_table(humanoid: Humanoid, table_height: float, *, fps: float = FPS) -> Motion:
    """Someone who stands with the ankles at x = 0, bends and puts both hands flat on a table before them.

    Raises:
      ValueError: another body, or a table that straight arms do not reach with a trunk bent by 0.1 to 1.3 rad.
    """
    p = Poser(humanoid)
    hands = ("L_Hand", "R_Hand")

    def bent(angle: float) -> Key:
        key = p.standing(pitch=0.6 * angle, bend=0.4 * angle, shoulder=angle + 0.4, elbow=0.1, palms=1.0, seconds=1.8)
        return p.over(dataclasses.replace(key, neck=-0.3 * angle), (MIDDLE + 0.1, 0.0))  # onto the hands

    low, high = 0.1, 1.3
    top, bottom = (p.lowest(bent(angle), hands) for angle in (low, high))
    if not bottom <= table_height <= top:
        raise ValueError(f"table_height: expected {bottom:.2f} to {top:.2f} m for this body, found {table_height:g} m")
    for _ in range(20):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if p.lowest(bent(middle), hands) > table_height else (low, middle)
    key = bent(high)
    where = p._posed(key).xpos[humanoid.body_names.index("L_Wrist"), 0]
    recipe = f"lean on a table: top at {table_height:.3f} m, wrists at x = {where:.3f} m, ankles at x = 0"
    return p.motion([p.standing(), key], fps, recipe)


def stepping_on(humanoid: Humanoid, step_height: float, *, fps: float = FPS) -> Motion:
    """Someone who stands with the ankles at x = 0 and steps onto a step whose edge is 0.25 m before them.

    Raises:
      ValueError: another body, or a step of less than 0 or more than 0.4 legs.
    """
    p = Poser(humanoid)
    if not 0.0 <= step_height <= 0.4 * p.leg:
        raise ValueError(f"step_height: expected 0 to {0.4 * p.leg:.2f} m for this body, found {step_height:g} m")
    ahead, side, ground, top = 0.25 + 0.14, p.stance, p.sole, step_height + p.sole
    stand, there = p.standing(), p.standing(ahead, step_height)
    tall = stand.hips[2]

    def key(left: tuple[float, float], right: tuple[float, float], on: tuple[float, float], z: float, s: float) -> Key:
        return p.over(Key((on[0], on[1], z), left, right, seconds=s, pitch=0.12, shoulder=0.2), on)

    feet, foot = (MIDDLE, -0.9 * side), (ahead + MIDDLE, 0.9 * side)
    half = 0.5 * (tall + there.hips[2])
    keys = [
        stand,
        key((0.0, ground), (0.0, ground), feet, tall - 0.02, 0.8),
        key((0.3 * ahead, top + 0.09), (0.0, ground), feet, tall - 0.02, 0.6),
        key((ahead, top), (0.0, ground), feet, tall - 0.02, 0.6),
        key((ahead, top), (0.0, ground), foot, min(half, tall - 0.1), 1.0),
        key((ahead, top), (0.3 * ahead, top + 0.09), foot, there.hips[2] - 0.04, 1.0),
        key((ahead, top), (ahead, top), foot, there.hips[2] - 0.02, 0.6),
        dataclasses.replace(there, seconds=0.8),
    ]
    recipe = f"step on: top at {step_height:.3f} m, its edge at x = 0.25 m, ankles from x = 0 to {ahead:.2f} m"
    return p.motion(keys, fps, recipe)


def lying(humanoid: Humanoid, height: float, *, seconds: float = 2.0, fps: float = FPS) -> Motion:
    """Someone who lies on the back on a flat top, head towards -x, hip joints over x = 0, and lies still.

    Raises:
      ValueError: another body.
    """
    p = Poser(humanoid)
    straight = 0.99 * p.leg
    key = Key(
        (0.0, 0.0, height + p.buttock), (straight, height + 0.09), (straight, height + 0.09), seconds=seconds,
        pitch=-np.pi / 2 + 0.02, neck=-0.3, shoulder=0.15, elbow=0.1, foot=-np.pi / 2 + 0.3,
    )  # fmt: skip
    drop = height - p.lowest(key, [g for g in p.points.group_names if not g.endswith("_Foot")])
    ends = (straight, key.left[1] + drop)
    key = dataclasses.replace(key, hips=(0.0, 0.0, key.hips[2] + drop), left=ends, right=ends)
    return p.motion([key, key], fps, f"lie: top at {height:.3f} m, head towards -x, hip joints at x = 0")
