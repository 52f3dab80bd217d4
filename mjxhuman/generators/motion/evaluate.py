"""How good generated motion is beside the recordings that a generator was trained on.

The measures of the field (Guo et al. 2022, CVPR), on what is known of windows without a trained encoder: mean and
deviation over time of the standardised features, projected on the principal components of the training windows.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg
from scipy.spatial.distance import cdist

from mjxhuman.generators.motion.features import RATES, Scale
from mjxhuman.generators.motion.text import embedded
from mjxhuman.generators.motion.windows import Clips

#: Principal components; windows of the training that they and the retrieval are fitted to; ridge, in variances.
COMPONENTS, WINDOWS, _RIDGE = 32, 4096, 0.01
#: Captions that a motion is compared with: its own and others.
RANKED = 4
#: Words that say nothing of what is done.
_EMPTY = {
    "a", "an", "the", "and", "or", "then", "while", "with", "in", "on", "of", "to", "as", "at", "from", "by", "for",
    "is", "are", "it", "its", "he", "she", "they", "his", "her", "their", "person", "people", "man", "woman", "someone",
    "somebody", "human", "figure", "character",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """What is known of the training windows; features are standardised by ``scale``."""

    scale: Scale
    middle: Float[np.ndarray, " m"]
    basis: Float[np.ndarray, "m k"]  # of the projection
    spread: Float[np.ndarray, " k"]  # standard deviations along it
    codes: Float[np.ndarray, "W k"]  # of the training windows
    retrieval: Float[np.ndarray, "k d"]  # from a code to the embedding of its caption
    captions: tuple[str, ...]
    fps: float

    @staticmethod
    def of(clips: Clips, scale: Scale, frames: int, seed: int = 0) -> Judge:
        """Fitted to windows of clips that are long enough for one; the retrieval by ridge regression."""
        generator = np.random.default_rng((seed, 0))
        windows, valid, which = clips.draw(generator, WINDOWS, frames)
        pooled = _pooled(scale.to_unit(windows), valid)
        middle = pooled.mean(0)
        _, size, axes = np.linalg.svd(pooled - middle, full_matrices=False)
        basis, spread = axes[:COMPONENTS].T, np.maximum(size[:COMPONENTS] / np.sqrt(len(pooled)), 1e-6)
        codes = (pooled - middle) @ basis
        unit = codes / spread
        text = embedded([clips.texts[i] for i in which])
        square = unit.T @ unit + _RIDGE * len(unit) * np.eye(unit.shape[1])
        return Judge(
            scale, middle, basis, spread, codes, np.linalg.solve(square, unit.T @ text), clips.captions, clips.fps
        )

    def code(self, features: Float[np.ndarray, "N T n"], valid: Bool[np.ndarray, "N T"] | None = None) -> np.ndarray:
        """Codes ``(N, k)`` of windows of features that are not standardised."""
        return (_pooled(self.scale.to_unit(features), valid) - self.middle) @ self.basis

    def measure(self, features: Float[np.ndarray, "N T n"], prompts: Sequence[str]) -> dict[str, float]:
        """Of generated windows and their prompts.

        ``frechet`` to the training windows; ``diversity``, mean distance of samples of a prompt; ``nearest``, mean
        distance to the training window that is most alike; ``r_precision``, share of motions whose own caption is the
        nearest of ``RANKED``; ``root_speed`` (m/s).
        """
        codes = self.code(features)
        rates = np.asarray(features)[..., RATES]
        return {
            "frechet": frechet(codes, self.codes), "diversity": _within(codes, prompts),
            "nearest": float(cdist(codes, self.codes).min(1).mean()),
            "r_precision": self.precision(codes, prompts),
            "root_speed": float(np.hypot(rates[..., 0], rates[..., 1]).mean()),
        }  # fmt: skip

    def precision(self, codes: Float[np.ndarray, "N k"], prompts: Sequence[str], seed: int = 0) -> float:
        """R-precision at 1 of ``RANKED``: the others are drawn from those captions of the training that say something
        else (``different``); NaN where there are too few."""
        said = codes / self.spread @ self.retrieval
        known, own = embedded(self.captions), embedded(prompts)
        differ = {prompt: different(prompt, self.captions) for prompt in dict.fromkeys(prompts)}
        generator, hits = np.random.default_rng((seed, 1)), []
        for code, prompt, text in zip(said, prompts, own, strict=True):
            if len(others := differ[prompt]) >= RANKED - 1:
                wrong = known[generator.choice(others, RANKED - 1, replace=False)]
                hits.append(bool(code @ text > (wrong @ code).max()))
        return float(np.mean(hits)) if hits else float("nan")


def different(prompt: str, captions: Sequence[str]) -> Int[np.ndarray, " D"]:
    """Which captions say something else: none of their words is one of the prompt's, or begins one, or the reverse
    ("walk", "walks"), but for those that say nothing of what is done ("a person")."""

    def told(text: str) -> set[str]:
        return set(re.findall(r"[^\W_]+", text.lower())) - _EMPTY

    def same(a: str, b: str) -> bool:
        return a.startswith(b) or b.startswith(a)

    own = told(prompt)
    alike = [any(same(a, b) for a in told(caption) for b in own) for caption in captions]
    return np.flatnonzero(~np.array(alike, bool))


def frechet(one: Float[np.ndarray, "N k"], other: Float[np.ndarray, "M k"]) -> float:
    """Distance of the Gaussians of two sets (Heusel et al. 2017, arXiv 1706.08500, FID without its network)."""
    a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = linalg.sqrtm(a @ b)
    return float(np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(a + b - 2.0 * np.real(root)))


def _within(codes: np.ndarray, prompts: Sequence[str]) -> float:
    """Mean distance of samples of one prompt; NaN where no prompt has two."""
    names = np.array(prompts)
    pairs = [cdist(codes[names == p], codes[names == p])[np.triu_indices((names == p).sum(), 1)] for p in set(prompts)]
    found = np.concatenate(pairs)
    return float(found.mean()) if len(found) else float("nan")


def _pooled(x: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Mean and deviation over time ``(N, 2 n)`` of windows ``(N, T, n)``."""
    weight = np.ones(x.shape[:2]) if valid is None else valid.astype(float)
    weight = (weight / weight.sum(1, keepdims=True))[..., None]
    mean = (weight * x).sum(1)
    return np.concatenate([mean, np.sqrt((weight * (x - mean[:, None]) ** 2).sum(1))], 1)
