"""Which joints of an unknown skeleton are hips, knees, ...: two legs, two arms and a head, by its tree and symmetry.

A leg or an arm is the longest path of a branch that has a twin of the same length. Hip, knee and ankle, shoulder, elbow
and wrist are those three joints on it whose distances come nearest to a body's proportions. Left is told by the names
of the twins, else by toes that point forward in an upright pose.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

#: Limbs of both sides may differ by this factor.
_TWIN = 1.08
#: Proximal bone over distal bone, and distance between the sides over the length of a leg (thigh and shank): 0.245 and
#: 0.246, 0.186 and 0.146, hips 0.191 and shoulders 0.259 of the stature (Drillis & Contini 1966, as in ``LEG_SHARE``),
#: the widths of the body there made those of the joints (0.55 and 0.85 of them).
#: Last, what follows (foot 0.152, hand 0.108, whose last joints are short of the tips) over the limb.
_LEG, _ARM = (1.0, 0.21, 0.25), (1.27, 0.45, 0.25)
#: Length of an arm over that of a leg, same source.
_ARM_LENGTH = 0.68


class _Tree:
    """A skeleton with the length of every bone; joints at their parent's place are passed over."""

    def __init__(self, names: Sequence[str], parents: Sequence[int], pose: np.ndarray) -> None:
        self.pose = pose
        self.children: list[list[int]] = [[] for _ in parents]
        for joint, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(joint)
        bones = [pose[j] - pose[p] if p >= 0 else np.zeros(3) for j, p in enumerate(parents)]
        self.length = np.linalg.norm(bones, axis=-1)
        self.root = list(parents).index(-1)

    def path(self, joint: int) -> list[int]:
        """Joints from ``joint`` to the tip of its longest branch."""
        longest = max((self.path(child) for child in self.children[joint]), key=self.size, default=[])
        return [joint, *longest]

    def size(self, path: list[int]) -> float:
        """Length of a path, with the bone that leads to it."""
        return float(self.length[path].sum())

    def fork(self, joint: int) -> tuple[int, list[list[int]]]:
        """The first joint at or below with three branches or more, and the longest path of each."""
        while True:
            paths = [self.path(child) for child in self.children[joint]]
            paths = [path for path in paths if self.size(path) > 0]
            if len(paths) >= 3:
                return joint, paths
            inner = [child for child in self.children[joint] if self._forks(child)]
            if len(inner) != 1:
                return joint, []
            joint = inner[0]

    def _forks(self, joint: int) -> bool:
        return len(self.children[joint]) >= 3 or any(self._forks(child) for child in self.children[joint])

    def limbs(self, pair: list[list[int]], shape: tuple[float, float, float], leg: float) -> list[list[int]]:
        """The three joints of each limb, and what comes after the third; [] where there are not as many.

        Args:
            pair: paths of both sides. shape: ``_LEG`` or ``_ARM``. leg: length of a leg, 0 where it is not yet known.
        """
        left, right = (self._places(path) for path in pair)
        count = min(len(left), len(right))
        if count < 3:
            return []

        def cost(three: tuple[int, int, int]) -> float:
            i, j, k = three
            upper, lower = (float(np.linalg.norm(self.pose[left[b]] - self.pose[left[a]])) for a, b in ((i, j), (j, k)))
            width = float(np.linalg.norm(self.pose[left[i]] - self.pose[right[i]]))
            size = leg or upper + lower
            shares = [upper / lower / shape[0], max(width, 1e-3 * size) / size / shape[1]]
            tip = float(self.length[left[k + 1 :]].sum()) / (upper + lower)
            shares += [max(tip, 0.1) / shape[2], (upper + lower) / (_ARM_LENGTH * leg) if leg else 1.0]
            return float(np.sum(np.log(shares) ** 2))

        best = min(itertools.combinations(range(count), 3), key=cost)
        return [[place[i] for i in best] + place[best[2] + 1 :] for place in (left, right)]

    def _places(self, path: list[int]) -> list[int]:
        """The joints of a path that are at different places: of several at one the last, which turns what follows."""
        places = [path[0]]
        for joint in path[1:]:
            if self.length[joint] > 1e-3 * self.size(path):
                places.append(joint)
            else:
                places[-1] = joint
        return places


def joints_by_topology(names: Sequence[str], parents: Sequence[int], pose: np.ndarray) -> dict[str, int]:
    """SMPL joint -> index, of a skeleton with two legs, two arms and something above them; {} where it has not.

    Args:
        names: J. parents: J, -1 for the root. pose: (J, 3) one frame of a motion in which the body is upright,
            in any unit and axes.
    """
    if len(names) < 12 or list(parents).count(-1) != 1:
        return {}
    tree = _Tree(names, parents, pose)
    pelvis, below = tree.fork(tree.root)
    legs = _twins(tree, below)
    spine = [path for path in below if path not in legs]
    if not legs or not spine:
        return {}
    trunk = max(spine, key=lambda path: len(_below(tree, path[0])))
    chest, above = tree.fork(trunk[0])
    arms = _twins(tree, above)
    head = [path for path in above if path not in arms]
    limbs = tree.limbs(legs, _LEG, 0.0)
    if not limbs or not arms or not head:
        return {}
    limbs += tree.limbs(arms, _ARM, tree.size(limbs[0][1:3]))
    if len(limbs) < 4:
        return {}
    sides = [_left_first(names, *pair) for pair in (limbs[:2], limbs[2:])]
    upward = pose[chest] - pose[pelvis]
    if sides[0] is None:
        sides[0] = _left_by_toes(pose, limbs[0], limbs[1], upward)
    if sides[0] is not None and sides[1] is None:
        across = pose[sides[0][0][0]] - pose[sides[0][1][0]]
        swapped = (pose[limbs[2][1]] - pose[limbs[3][1]]) @ across < 0
        sides[1] = (limbs[3], limbs[2]) if swapped else (limbs[2], limbs[3])
    if sides[0] is None or sides[1] is None:
        return {}
    found = {"Pelvis": pelvis}
    for side, leg, arm in zip("LR", sides[0], sides[1], strict=True):
        found |= {f"{side}_{name}": joint for name, joint in zip(("Hip", "Knee", "Ankle", "Toe"), leg, strict=False)}
        named = dict(zip(("Shoulder", "Elbow", "Wrist"), arm, strict=False))
        found |= {f"{side}_{name}": joint for name, joint in named.items()}
        collar = next(path for path in arms if arm[0] in path)[0]  # the branch begins there
        if collar != arm[0]:
            found[f"{side}_Thorax"] = collar
    found |= _middle(tree, trunk, chest, max(head, key=tree.size))
    return found


def _below(tree: _Tree, joint: int) -> list[int]:
    return [joint, *itertools.chain.from_iterable(_below(tree, child) for child in tree.children[joint])]


def _twins(tree: _Tree, paths: list[list[int]]) -> list[list[int]]:
    """The longest two paths of the same length and number of joints; [] if no two are."""
    pairs = [
        (tree.size(a), [a, b])
        for a, b in itertools.combinations(paths, 2)
        if len(a) == len(b) and max(tree.size(a), tree.size(b)) < _TWIN * min(tree.size(a), tree.size(b))
    ]
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else []


def _left_first(names: Sequence[str], a: list[int], b: list[int]) -> tuple[list[int], list[int]] | None:
    """The pair with the left one first, by the first letters in which the names of their joints differ."""
    for i, j in zip(a, b, strict=False):
        for x, y in zip(names[i].lower(), names[j].lower(), strict=False):
            if x != y:
                if {x, y} == {"l", "r"}:
                    return (a, b) if x == "l" else (b, a)
                break
    return None


def _left_by_toes(pose: np.ndarray, a: list[int], b: list[int], up: np.ndarray) -> tuple[list[int], list[int]] | None:
    """The same by a pose that stands on its feet."""
    if len(a) < 4 or len(b) < 4:
        return None
    forward = pose[a[3]] - pose[a[2]] + pose[b[3]] - pose[b[2]]
    left, down = np.cross(up, forward), pose[a[0]] - pose[a[2]] + pose[b[0]] - pose[b[2]]
    across = pose[a[0]] - pose[b[0]]
    scale = np.linalg.norm(up) * np.linalg.norm(forward) * np.linalg.norm(across)
    if up @ down < 0.8 * np.linalg.norm(up) * np.linalg.norm(down) or abs(left @ across) < 0.5 * scale:
        return None
    return (a, b) if left @ across > 0 else (b, a)


def _middle(tree: _Tree, trunk: list[int], chest: int, head: list[int]) -> dict[str, int]:
    """Spine, neck and head."""
    line, joint = [trunk[0]], trunk[0]
    while joint != chest:
        joint = next(child for child in tree.children[joint] if chest in _below(tree, child))
        line.append(joint)
    found = {"Torso": line[0], "Spine": line[len(line) // 2], "Chest": line[-1]}
    found = {name: joint for i, (name, joint) in enumerate(found.items()) if joint not in list(found.values())[:i]}
    neck = [joint for joint in head if tree.length[joint] > 0]
    tips = [joint for joint in neck if tree.children[joint]] or neck
    return found | {"Neck": tips[0]} | ({"Head": tips[-1]} if len(tips) > 1 else {})
