"""Motions in pickles: PHC's and AMASS's joblib dumps, AIST++, GLAMR, EMDB, WHAM, and ProtoMotions' torch files.

Layouts: PHC {clip: {pose_aa, root_trans_offset or trans_orig, fps}}, z up, 30 Hz; AIST++ {smpl_poses, smpl_trans,
smpl_scaling}; GLAMR {person_data: {id: {smpl_pose, smpl_orient_world, root_trans_world}}}; EMDB {smpl: {poses_root,
poses_body, trans}}; WHAM {id: {pose_world, trans_world, and the same of the camera}}; ProtoMotions
{rigid_body_pos, rigid_body_rot xyzw, dof_pos, fps}. Tested on files written with these keys, ProtoMotions on real ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mjxhuman.data.aistpp import is_aistpp, read_aistpp
from mjxhuman.data.arrays import ArrayDict
from mjxhuman.data.npz import AnyMotion, QposMotion
from mjxhuman.data.pickles import load_pickle
from mjxhuman.data.smpl import FPS_KEYS, body_motion, is_smpl, pelvis_of, read_parameters, read_smpl_npz
from mjxhuman.data.source import Source
from mjxhuman.data.text import require_finite

#: Spelling in pickles -> spelling of ``smpl``; the world's arrays win over the camera's.
_SPELLINGS = {
    "pose_world": "poses", "trans_world": "trans", "pose_aa": "poses", "trans_orig": "trans",
    "poses_root": "global_orient", "poses_body": "body_pose",
}  # fmt: skip


def read_pickled(source: Source) -> AnyMotion:
    """Read a pickle that holds a motion under the keys of one of these projects.

    Raises:
        MotionFileError: a class that is not built, no motion or more than one, shapes that do not fit.
    """
    content = load_pickle(source)
    found = list(_motions(content, ""))
    if not found:
        keys = ", ".join(map(str, list(content)[:12])) if isinstance(content, Mapping) else type(content).__name__
        raise source.error(
            "pickle", keys or "nothing", "poses and a translation of SMPL (PHC, AIST++, GLAMR, EMDB, WHAM)"
        )
    if len(found) > 1 and not all(name.rpartition("/")[2].isdigit() for name, _ in found):
        names = ", ".join(name for name, _ in found[:6])
        raise source.error("pickle", f"{len(found)} motions ({names}, ...)", "one: save each in a file of its own")
    name, arrays = max(found, key=lambda item: len(np.atleast_1d(item[1].get("trans", ()))))
    if len(found) > 1:
        source.note(f"of {len(found)} people the one seen longest: {name}")
    values = ArrayDict(source, arrays)
    if is_aistpp(values):
        return read_aistpp(source, values)
    if "root_trans_world" in values:
        return read_smpl_npz(source, values)
    world, phc = "pose_world" in arrays, "pose_aa" in arrays
    parameters = read_parameters(source, values)
    if phc:
        fps = source.frame_rate(values.number(FPS_KEYS), 30.0, "PHC's motions are resampled to 30 Hz")
        to_world = source.up_axis(None, "z", "PHC has z up")
    else:
        fps = source.frame_rate(values.number(FPS_KEYS), 30.0 if "poses_root" in arrays else None, "EMDB has 30 Hz")
        to_world = source.up_axis(None, "y", "worlds of recovered motion have y up")
    if world:
        source.note("WHAM's world is read (pose_world, trans_world), not what the camera saw")
    pelvis = None if phc and "trans_orig" not in arrays else pelvis_of(parameters.model)
    return body_motion(source, "WHAM" if world else "PHC" if phc else "SMPL", parameters, fps, to_world, pelvis)


def _motions(content: Any, where: str, depth: int = 4) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dictionaries in a content that hold a motion, with their path in it."""
    if not isinstance(content, Mapping) or depth == 0:
        return
    arrays = {str(key): value for key, value in content.items()}
    if "pose_world" in arrays:
        arrays = {key: value for key, value in arrays.items() if key not in ("pose", "trans", "poses")}
    arrays |= {_SPELLINGS[key]: value for key, value in arrays.items() if key in _SPELLINGS}
    if "pose_aa" in arrays and "trans" not in arrays and "root_trans_offset" in arrays:
        arrays["trans"] = arrays["root_trans_offset"]
    if is_smpl(arrays):  # type: ignore[arg-type]
        yield where or "the file", arrays
        return
    for key, value in arrays.items():
        yield from _motions(value, f"{where}/{key}" if where else key, depth - 1)


def is_proto_motion(content: Any) -> bool:
    """Whether the content of a torch file is a motion of ProtoMotions."""
    return isinstance(content, Mapping) and {"dof_pos", "rigid_body_pos", "rigid_body_rot"} <= set(content)


def read_proto_motion(source: Source, content: Mapping[str, Any]) -> QposMotion:
    """The root's pose and the joint angles of a ProtoMotions motion, as coordinates of a robot.

    Raises:
        MotionFileError: shapes that do not fit, numbers that are not finite.
    """
    values = ArrayDict(source, {str(key): value for key, value in content.items() if key in _PROTO})
    pos, rot, joints = (values.numbers(key) for key in ("rigid_body_pos", "rigid_body_rot", "dof_pos"))
    frames = len(joints) if joints.ndim == 2 else 0
    if frames == 0 or pos.shape[:1] != (frames,) or rot.shape[::2] != (frames, 4) or pos.shape[::2] != (frames, 3):
        found = f"shapes {pos.shape}, {rot.shape}, {joints.shape}"
        raise source.error("rigid_body_pos, rigid_body_rot, dof_pos", found, "(T, B, 3), (T, B, 4), (T, joints)")
    qpos = np.concatenate([pos[:, 0], rot[:, 0][:, [3, 0, 1, 2]], joints], axis=1)
    require_finite(source, qpos, "number")
    fps = source.frame_rate(values.number(("fps",)))
    source.up_axis(None, "z", "ProtoMotions has z up")
    source.note("the root is the first rigid body, its quaternion xyzw; joint angles are in the order of the file")
    return QposMotion(qpos, fps, {}, source.provenance("ProtoMotions"))


_PROTO = ("dof_pos", "rigid_body_pos", "rigid_body_rot", "fps")
