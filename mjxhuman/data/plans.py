"""Files of plans (``planning.Plan.save``) as motions: simulated states, and the servo targets that made them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.npz import QposMotion
from mjxhuman.data.source import Source
from mjxhuman.types import Controls

#: Version of the files: 2 holds the velocities, 3 how the body is tuned.
FORMAT = 3
ARRAYS = ("qpos", "qvel", "ctrl", "start_qpos", "start_qvel")
#: What tells the servos of two actuated bodies apart, the names in ``humanoids.actuated.Actuated.facts``.
SERVOS = ("contacts", "tuning")


def is_plan(arrays: NpzFile) -> bool:
    """Whether an .npz has the arrays of a plan."""
    return all(name in arrays for name in ("facts", "qpos", "ctrl"))


def read_plan(source: Source, npz: NpzFile) -> QposMotion:
    """The simulated motion of a plan with its controls.

    Raises:
        MotionFileError: facts or arrays missing, another version, or arrays that do not fit each other.
    """
    facts = _facts(source, npz)
    if missing := [name for name in ARRAYS if name not in npz]:
        raise source.error("arrays", f"no {', '.join(missing)}", ", ".join(ARRAYS))
    qpos, qvel, ctrl = (np.asarray(npz[name], np.float64) for name in ("qpos", "qvel", "ctrl"))
    if len(ctrl) < 1 or len(qpos) <= len(ctrl) or len(qvel) != len(qpos):
        found = f"{len(qpos)} states, {len(qvel)} velocities and {len(ctrl)} controls"
        raise source.error("ctrl", found, "as many velocities as states, and one control less")
    # what comes after a simulation that broke down is no motion
    whole = np.isfinite(qvel[: len(ctrl) + 1]).all(1) & np.isfinite(qpos[: len(ctrl) + 1]).all(1)
    frames = len(whole) if whole.all() else int(np.argmin(whole))
    target = np.concatenate([ctrl, ctrl[-1:]])[:frames]
    valid = np.asarray(npz["valid"], bool)[:frames] if "valid" in npz else None
    if valid is not None and valid.shape != (frames,):
        raise source.error("valid", f"shape {np.shape(npz['valid'])}", f"({len(qpos)},), one for each state")
    controls = Controls(target, tuple((name, facts[name]) for name in SERVOS))
    provenance = source.provenance("plan").with_(conventions=(f"simulated after {facts['source'] or 'a motion'}",))
    return QposMotion(qpos[:frames], facts["fps"], facts["humanoid"], provenance, qvel[:frames], controls, valid)


def _facts(source: Source, npz: NpzFile) -> dict[str, Any]:
    try:
        facts = json.loads(npz.text("facts"))
    except (ValueError, RecursionError) as error:
        raise source.error("facts", f"no JSON ({error})", "JSON") from None
    found = facts.get("plan") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise source.error("plan", f"format {found!r}", f"{FORMAT}: plan the motion again")
    if missing := [name for name in ("fps", "humanoid", "source", *SERVOS) if name not in facts]:
        raise source.error("facts", f"no {', '.join(missing)}", "those of a plan")
    return facts
