"""Does a reward rank clean motion above damaged motion? Pairs, kinds and severities counted one way for everybody."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy.stats import spearmanr

from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.rewards.score import in_ball_joints, score
from mjxhuman.rewards.validation import damage
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import Motion

#: What judges a motion: a number, higher is better, and the numbers behind it.
Judge = Callable[[Motion], tuple[float, dict[str, float]]]


@dataclasses.dataclass(frozen=True)
class Pair:
    """A clean clip against one damaged copy of it. NaN scores are kept and count as not lower."""

    clip: str
    kind: str
    severity: float
    clean: float
    damaged: float
    clean_terms: dict[str, float]
    damaged_terms: dict[str, float]

    @property
    def lower(self) -> bool:
        """Whether the damaged copy scores lower."""
        return bool(self.damaged < self.clean)


def damaged_pairs(
    name: str,
    motion: Motion,
    *,
    reward: str | Judge = "feasibility",
    kinds: Sequence[str] | None = None,
    seed: int = 0,
    surface: Surface | None = None,
) -> Iterable[Pair]:
    """Judge a clean motion ``(T, ...)`` and damaged copies of every kind and severity that applies to it.

    Args:
      name: of the clip.
      motion: the clean clip.
      reward: a reward of ``score``, or any other judge.
      kinds: of damage; None: all.
      seed: of the random damages: the same for two judges, they see the same motions.
      surface: what carries the body.
    """
    motion = in_ball_joints(motion)
    humanoid, fps = motion.humanoid, motion.fps
    qpos = np.asarray(motion.qpos, np.float64)
    # the clean clip goes the same way as its copies: derivatives taken from qpos
    judge = _scored(reward, surface) if isinstance(reward, str) else reward
    clean, clean_values = judge(motion_from_qpos(humanoid, qpos, fps))
    for kind in kinds or damage.DAMAGES:
        for severity in damage.DAMAGES[kind].severities:
            try:
                bad = damage.apply(kind, humanoid, qpos, fps, severity, seed, surface)
            except damage.NotApplicable:
                continue
            worse, values = judge(motion_from_qpos(humanoid, bad, fps))
            yield Pair(name, kind, severity, clean, worse, clean_values, values)


def _scored(reward: str, surface: Surface | None) -> Judge:
    def judge(motion: Motion) -> tuple[float, dict[str, float]]:
        scores = score(motion, reward, surface=surface)
        return float(scores.total), {k: float(v) for k, v in {**scores.axes, **scores.terms}.items()}

    return judge


def correlation(first: Sequence[Pair], second: Sequence[Pair]) -> tuple[float, int]:
    """Rank correlation of two judges over all motions, clean and damaged, that both could judge, and how many."""

    def values(pairs: Sequence[Pair]) -> dict[tuple, float]:
        damaged = {(p.clip, p.kind, p.severity): p.damaged for p in pairs}
        return {**damaged, **{(p.clip,): p.clean for p in pairs}}

    one, two = values(first), values(second)
    both = [k for k in one if k in two and np.isfinite(one[k]) and np.isfinite(two[k])]
    if len(both) < 3:
        return float("nan"), len(both)
    return float(spearmanr([one[k] for k in both], [two[k] for k in both]).statistic), len(both)


@dataclasses.dataclass(frozen=True)
class KindResult:
    """How one kind of damage is ranked."""

    kind: str
    pairs: int
    lower: float  # share of pairs in which the damaged copy scores lower
    drop: float  # median fall of the total
    spearman: float  # median over clips of the rank correlation of severity and score, clean clip included


def summarise(pairs: Sequence[Pair]) -> tuple[KindResult, list[KindResult]]:
    """The result over all pairs, and per kind in the order of ``DAMAGES``.

    Raises:
      ValueError: no pairs.
    """
    if not pairs:
        raise ValueError("pairs: expected at least one clean and damaged pair, found none")
    kinds = [k for k in damage.DAMAGES if any(p.kind == k for p in pairs)]
    return _result("all", pairs), [_result(k, [p for p in pairs if p.kind == k]) for k in kinds]


def _result(kind: str, pairs: Sequence[Pair]) -> KindResult:
    correlations = []
    for key in sorted({(p.clip, p.kind) for p in pairs}):
        same = sorted((p for p in pairs if (p.clip, p.kind) == key), key=lambda p: p.severity)
        values = [same[0].clean, *(p.damaged for p in same)]
        if not np.isfinite(values).all() or np.ptp(values) == 0:
            correlations.append(0.0)
        else:
            correlations.append(float(spearmanr(np.arange(len(values)), values).statistic))
    return KindResult(
        kind,
        len(pairs),
        float(np.mean([p.lower for p in pairs])),
        float(np.median([drop for p in pairs if np.isfinite(drop := p.clean - p.damaged)] or [np.nan])),
        float(np.median(correlations)),
    )


def table(pairs: Sequence[Pair], write: Callable[[str], None] = print) -> None:
    """Print the ranking: one line per kind, then all."""
    overall, kinds = summarise(pairs)
    write(f"{'kind of damage':<20}{'pairs':>7}{'lower':>9}{'median drop':>13}{'spearman':>10}")
    for r in [*kinds, overall]:
        write(f"{r.kind:<20}{r.pairs:>7}{100 * r.lower:>8.1f}%{r.drop:>13.3f}{r.spearman:>10.2f}")
