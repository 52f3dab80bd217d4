"""Which joint of a file is which: by a map of the caller's, a table of names, or the skeleton's topology.

What no table of ``joint_names`` knows is renamed to SMPL's names when it is read, so that nothing after it has to ask.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.joint_names import SKELETONS, recognise_skeleton, smpl_joint_map
from mjxhuman.data.source import Source
from mjxhuman.data.topology import joints_by_topology
from mjxhuman.types import SMPL_JOINTS


def named(
    source: Source, names: Sequence[str], parents: Sequence[int] = (), pose: np.ndarray | None = None
) -> list[str]:
    """The joints' (or markers') names, with SMPL's in place of those that no table knows or that the caller maps.

    Args:
        source: the file; its ``joints=`` wins.
        names: J.
        parents: J, of a skeleton.
        pose: (J, 3), of a skeleton in the middle of the clip.

    Raises:
        MotionFileError: a map that cannot be read, or names what the file or SMPL does not have.
    """
    known = smpl_joint_map(names)
    joints: dict[str, int] = {}
    if pose is not None and (recognise_skeleton(names) is None or "Pelvis" not in known):
        joints = joints_by_topology(names, parents, pose)
        if joints:
            listed = ", ".join(f"{joint} {names[index]}" for joint, index in joints.items())
            source.note(f"joints by the skeleton's topology, as no table has their names: {listed} (--joints)")
    if source.options.joints is not None:
        given = read_joint_map(source, names)
        joints = {**(joints or known), **{j: i for j, i in given.items() if i is not None}}
        joints = {joint: index for joint, index in joints.items() if given.get(joint, index) is not None}
        source.note(f"{len(given)} joints are as the map {source.options.joints} says")
    if not joints:
        return list(names)
    by_index = {index: joint for joint, index in joints.items()}
    return [by_index.get(i, f"{name} (file)" if _means(name) else name) for i, name in enumerate(names)]


def _means(name: str) -> bool:
    """Whether a name would be taken for one of SMPL's joints."""
    return name.strip().lower() in SKELETONS["SMPL"]


def read_joint_map(source: Source, names: Sequence[str]) -> dict[str, int | None]:
    """The map of ``source.options.joints``: JSON of SMPL joints and the file's names for them, null for none.

    Raises:
        MotionFileError: as ``named``.
    """
    path = source.options.joints or ""
    try:
        content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MotionFileError(path, "file", f"no JSON ({error})", 'an object such as {"L_Hip": "thigh.L"}') from None
    if not isinstance(content, dict) or not content:
        raise MotionFileError(path, "file", type(content).__name__, 'an object such as {"L_Hip": "thigh.L"}')
    found: dict[str, int | None] = {}
    for joint, name in content.items():
        if joint not in SMPL_JOINTS:
            raise MotionFileError(path, joint, "a name that is not SMPL's", f"one of {', '.join(SMPL_JOINTS)}")
        if name is not None and name not in names:
            raise MotionFileError(path, joint, repr(name)[:60], f"null or a joint of {source.path}: {_some(names, 60)}")
        found[joint] = None if name is None else list(names).index(name)
    return found


def unknown(source: Source, names: Sequence[str]) -> MotionFileError:
    """The error about a skeleton that neither tables nor topology explain."""
    return source.error(
        "joints",
        f"names that no table knows ({_some(names, 12)})",
        f"those of {', '.join(SKELETONS)}, or a body of two legs, two arms and a head, or the argument joints= (a JSON "
        'file such as {"Pelvis": "hips", "L_Hip": "thigh.L", ...})',
    )


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
