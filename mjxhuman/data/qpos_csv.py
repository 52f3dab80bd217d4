"""Robot motion as comma-separated numbers: root x y z (m, z up), root quaternion, then joint angles (rad).

As NVIDIA's Kimodo writes it for the Unitree G1 (29 joints), w x y z; LAFAN1 retargeted to the G1 has x y z w. No frame
rate; a row of names may stand above. The order of the quaternion is found from the motion: both orders are unit
quaternions and equally smooth, but a body stands upright, and walks forward, in one of them only.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.npz import QposMotion
from mjxhuman.data.source import Source
from mjxhuman.data.text import line_blocks, parse_rows, require_finite


def read_qpos_csv(source: Source) -> QposMotion:
    """Read such a table; which model it belongs to is not stated.

    Raises:
        MotionFileError: rows of unequal length, fewer than 8 columns, root quaternions that are not of unit length, no
            rate.
    """
    blocks: list[np.ndarray] = []
    done = columns = 0
    with source.path.open("rb") as file:
        if _numeric(file.readline()):
            file.seek(0)
        else:
            source.note("the first row holds names")
        for lines in line_blocks(file):
            columns = columns or lines[0].count(b",") + 1
            rows = [line.replace(b",", b" ") for line in lines]
            blocks.append(parse_rows(source, rows, columns, lambda row, first=done + 1: f"frame {first + row}"))  # type: ignore[misc]
            done += len(lines)
    if not blocks:
        raise source.error("file", "no row of numbers", "at least one")
    if columns < 8:
        raise source.error("columns", columns, "at least 8: root position, root quaternion, joints")
    qpos = np.concatenate(blocks)
    require_finite(source, qpos, "number")
    norms = np.linalg.norm(qpos[:, 3:7], axis=1)
    if (np.abs(norms - 1.0) > 0.01).any():
        bad = int(np.argmax(np.abs(norms - 1.0) > 0.01))
        raise source.error(f"frame {bad + 1}, columns 4 to 7", f"norm {norms[bad]:.3g}", "a unit quaternion")
    qpos[:, 3:7] /= norms[:, None]
    fps = source.frame_rate(None)
    source.up_axis(None, "z", "robot motions have z up")
    order, why = _order(source, qpos, fps)
    if order == "xyzw":
        qpos[:, 3:7] = qpos[:, [6, 3, 4, 5]]
    source.note(
        f"columns are root position, root quaternion {order} ({why}) and joint angles in the order of the model's "
        "joints"
    )
    return QposMotion(qpos, fps, {}, source.provenance("CSV of qpos"))


def _numeric(line: bytes) -> bool:
    try:
        float(line.split(b",")[0])
    except ValueError:
        return not any(letter in line.lower() for letter in (b"x", b"q", b"w", b"root", b"joint"))
    return True


def _order(source: Source, qpos: np.ndarray, fps: float) -> tuple[str, str]:
    """The order of the root's quaternion, and how it was found.

    The share of frames in which the body's z axis is within 45 degrees of the vertical decides, then whether it moves
    along its x axis or against it.
    """
    if source.options.quaternion is not None:
        return source.options.quaternion, "as the caller says"
    turns = {
        order: Rotation.from_quat(qpos[:, 3:7], scalar_first=order == "wxyz").as_matrix() for order in ("wxyz", "xyzw")
    }
    upright = {order: float(np.mean(turn[:, 2, 2] > np.cos(np.pi / 4))) for order, turn in turns.items()}
    best = max(upright, key=lambda order: upright[order])
    if abs(upright["wxyz"] - upright["xyzw"]) > 0.3:
        return best, f"upright in {upright[best]:.0%} of the frames, by the other order in {min(upright.values()):.0%}"
    velocity = np.gradient(qpos[:, :2], axis=0) * fps if len(qpos) > 1 else np.zeros((1, 2))
    moving = np.linalg.norm(velocity, axis=-1) > 0.2  # m/s
    ahead = {order: float(np.sum(turn[:, :2, 0] * velocity, -1)[moving].sum()) for order, turn in turns.items()}
    if moving.sum() > 5 and ahead["wxyz"] * ahead["xyzw"] < 0:
        best = max(ahead, key=lambda order: ahead[order])
        return best, "it moves forward; by the other order it would move backwards"
    if np.median(np.abs(qpos[:, 3])) < 0.3 and np.median(np.abs(qpos[:, 6])) > 0.9:
        return "xyzw", "doubtful: by the other order it would face backwards; --quaternion"
    return "wxyz", "as in MuJoCo"
