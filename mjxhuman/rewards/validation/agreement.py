"""Does a score agree with people? Pairs of motions of which people preferred one, judged by any number of scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from mjxhuman.rewards.score import in_ball_joints, score
from mjxhuman.types import Motion

#: Height in m below which a foot joint counts as on the floor for the simple skating measure.
STANCE_HEIGHT = 0.1
#: Bins of predicted probability for the calibration error.
BINS = 10


def judgements(motion: Motion) -> dict[str, float]:
    """Every number that may agree with people, higher is better: ours, the published reward and two simple ones.

    ``jitter`` and ``foot_skate`` are measures in common use: the mean jerk of the joints, and the mean speed along the
    floor of foot joints below 10 cm, both with the sign turned.

    Args:
      motion: ``(T, ...)``. What cannot be scored is NaN.
    """
    motion = in_ball_joints(motion)
    ours, published = score(motion), score(motion, "phymotion")
    values = {"total": ours.total, **ours.axes, **{k: v for k, v in ours.terms.items() if k in _OWN}}
    values |= {"phymotion": published.total, **{f"phymotion {k}": v for k, v in published.axes.items()}}
    pos = np.asarray(motion.body_pos, np.float64)[:, 1:]
    jerk = np.linalg.norm(np.diff(pos, 3, axis=0), axis=-1) / motion.dt**3
    feet = pos[:, [motion.humanoid.body_names.index(name) - 1 for name in ("L_Toe", "R_Toe", "L_Ankle", "R_Ankle")]]
    speed = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1) / motion.dt
    low = feet[1:, :, 2] - feet[..., 2].min() < STANCE_HEIGHT
    skate = float((speed * low).sum() / max(low.sum(), 1))
    return {k: float(v) for k, v in values.items()} | {"jitter": -float(jerk.mean()), "foot_skate": -skate}


_OWN = (
    "joint_speed", "joint_limit", "self_penetration", "foot_slip", "ground_penetration", "floating", "balance",
    "torque", "ground_reaction", "power", "flight",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Preference:
    """People preferred ``better`` to ``worse``: names of two motions, and the group they belong to (a prompt)."""

    better: str
    worse: str
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How one score agrees with people; intervals are the 2.5th and 97.5th percentile of a bootstrap over groups."""

    name: str
    pairs: int  # with both motions scored
    accuracy: float  # share of pairs in which the preferred motion scores higher; a tie is half
    accuracy_interval: tuple[float, float]
    spearman: float  # of the score and the share of its pairs that a motion wins, over motions
    spearman_interval: tuple[float, float]
    calibration: float  # mean distance of stated and observed preference, the statement being a logistic of the gap
    log_loss: float  # of that logistic, nats; 0.693 is a coin


def agreements(
    preferences: Sequence[Preference],
    values: Mapping[str, Mapping[str, float]],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[Agreement]:
    """One ``Agreement`` per score, the best first.

    Args:
      preferences: pairs.
      values: of each motion by its name: each score by its name.
      draws: of the bootstrap; groups are drawn, since motions of one prompt are not independent.
      seed: of the bootstrap.

    Raises:
      ValueError: no pair.
    """
    if not preferences:
        raise ValueError("preferences: expected at least one pair, found none")
    names = sorted({name for scores in values.values() for name in scores})
    found = [_agreement(name, preferences, values, draws, np.random.default_rng(seed)) for name in names]
    return sorted(found, key=lambda a: -np.nan_to_num(a.accuracy, nan=-1.0))


def _agreement(
    name: str,
    preferences: Sequence[Preference],
    values: Mapping[str, Mapping[str, float]],
    draws: int,
    rng: np.random.Generator,
) -> Agreement:
    def value(motion: str) -> float:
        return values.get(motion, {}).get(name, np.nan)

    known = [p for p in preferences if np.isfinite(value(p.better)) and np.isfinite(value(p.worse))]
    if not known:
        nothing = (np.nan, np.nan)
        return Agreement(name, 0, np.nan, nothing, np.nan, nothing, np.nan, np.nan)
    motions = sorted({m for p in known for m in (p.better, p.worse)})
    place = {m: k for k, m in enumerate(motions)}
    better, worse = (np.array([place[getattr(p, side)] for p in known]) for side in ("better", "worse"))
    worth = np.array([value(m) for m in motions])
    right = 0.5 + 0.5 * np.sign(worth[better] - worth[worse])
    groups = np.unique([p.group or f"{p.better}\n{p.worse}" for p in known], return_inverse=True)[1]
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    ranks = [_spearman(worth, better, worse)]
    shares = [float(right.mean())]
    for _ in range(draws):
        chosen = np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))])
        shares.append(float(right[chosen].mean()))
        ranks.append(_spearman(worth, better[chosen], worse[chosen]))
    calibration, loss = _calibration(worth[better] - worth[worse], rng)
    return Agreement(
        name, len(known), shares[0], _interval(shares[1:]), ranks[0], _interval(ranks[1:]), calibration, loss
    )


def _interval(draws: Sequence[float]) -> tuple[float, float]:
    kept = [x for x in draws if np.isfinite(x)]
    return (float(np.percentile(kept, 2.5)), float(np.percentile(kept, 97.5))) if kept else (np.nan, np.nan)


def _spearman(worth: np.ndarray, better: np.ndarray, worse: np.ndarray) -> float:
    """Rank correlation of worth and share of pairs won, over the motions of these pairs."""
    won = np.bincount(better, minlength=len(worth))
    met = won + np.bincount(worse, minlength=len(worth))
    here = met > 0
    a, b = rankdata(worth[here]), rankdata(won[here] / met[here])
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan


def _calibration(gap: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Expected calibration error and log loss of P(better) = 1 / (1 + exp(-slope gap)), the slope fitted.

    Which of a pair comes first is drawn, so that a score that says nothing states one half and is right about it.
    """
    scale = np.std(gap) or 1.0
    order = np.where(rng.random(len(gap)) < 0.5, -1.0, 1.0)
    x, first = gap / scale * order, order > 0

    def loss(slope: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0.0, -slope[0] * gap / scale)) + 1e-6 * slope[0] ** 2)

    slope = float(minimize(loss, np.array([1.0])).x[0])
    stated = 1.0 / (1.0 + np.exp(-np.clip(slope * x, -500, 500)))
    index = np.minimum((stated * BINS).astype(int), BINS - 1)
    error = sum(abs(stated[index == k].sum() - first[index == k].sum()) for k in range(BINS))
    return float(error / len(gap)), loss(np.array([slope]))


def table(found: Sequence[Agreement]) -> str:
    """One line per score."""
    head = f"{'score':<24}{'pairs':>6}{'accuracy':>10}{'95 %':>14}{'spearman':>10}{'95 %':>16}"
    lines = [f"{head}{'calibration':>13}{'loss':>7}"]
    for a in found:
        (low, high), (under, over) = a.accuracy_interval, a.spearman_interval
        lines.append(
            f"{a.name:<24}{a.pairs:>6}{100 * a.accuracy:>9.1f}%{100 * low:>8.1f}-{100 * high:<5.1f}{a.spearman:>10.2f}"
            f"{under:>9.2f}..{over:<5.2f}{a.calibration:>13.3f}{a.log_loss:>7.3f}"
        )
    return "\n".join(lines)
