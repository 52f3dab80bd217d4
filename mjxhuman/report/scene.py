"""People on furniture for the page: what a simulation recorded, as clips with loads, and pictures and films of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.interaction import Outcome
from mjxhuman.physics.analysis import analyse
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.viewer import unscored
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Dynamics, Motion

#: Bodies whose forces are a foot's, and the name of all others that the floor may carry.
FEET, REST = {"L_Foot": ("L_Ankle", "L_Toe"), "R_Foot": ("R_Ankle", "R_Toe")}, "Rest of body"
_WHY = "shown with furniture, not scored"


def still_clip(name: str, motion: Motion, scene: Scene, notes: tuple[str, ...] = ()) -> ClipReport:
    """A motion that is only looked at, among furniture, with the forces that would explain it."""
    motion = in_ball_joints(motion)
    return ClipReport(name, unscored(motion, _WHY), motion, analyse(motion, scene=scene), notes, scene=scene)


def outcome_clip(name: str, outcome: Outcome, notes: tuple[str, ...] = ()) -> ClipReport:
    """What was simulated: the furniture as it moved, the forces that the simulator had.

    Raises:
      ValueError: no person came in.
    """
    motion = outcome.motion
    if motion is None or outcome.loads is None:
        raise ValueError(f"outcome: expected one with a person, found type {outcome.type}: {outcome.reason}")
    return ClipReport(
        name, unscored(motion, _WHY), motion, simulated_forces(outcome), notes, scene=outcome.scene,
        object_poses=np.asarray(outcome.object_pose)[: motion.num_frames],
    )  # fmt: skip


def simulated_forces(outcome: Outcome) -> Dynamics:
    """Forces of the simulator as ``Dynamics``: of feet and rest by the floor, and of the person by each object."""
    motion, loads = outcome.motion, outcome.loads
    assert motion is not None and loads is not None
    names, pos = motion.humanoid.body_names[1:], np.asarray(motion.body_pos, float)[:, 1:]
    force, centre, labels = [], [], []

    def add(label: str, by: np.ndarray, bodies: list[int]) -> None:
        size = np.linalg.norm(by[:, bodies], axis=-1)[..., None]
        force.append(by[:, bodies].sum(1))
        centre.append((size * pos[:, bodies]).sum(1) / np.maximum(size.sum(1), 1e-6))
        labels.append(label)

    floor, objects = np.asarray(loads.floor, float), np.asarray(loads.objects, float)
    for label, bodies in FEET.items():
        add(label, floor, [names.index(body) for body in bodies if body in names])
    add(REST, floor, [i for i, name in enumerate(names) if not any(name in bodies for bodies in FEET.values())])
    for i, thing in enumerate(outcome.scene.objects):
        add(thing.name, objects[:, :, i], list(range(len(names))))
    found = analyse(motion, scene=outcome.scene)
    return dataclasses.replace(found, grf=np.stack(force, 1), cop=np.stack(centre, 1), contact_names=tuple(labels))
