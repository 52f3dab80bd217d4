"""Text as a vector without a trained encoder: words and their letters, hashed. The same on every machine."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

#: Numbers of an embedding.
SIZE = 512
#: Weight of a word as a whole beside each of its trigrams: "walks" is near "walking", and nearer to "walks".
_WORD = 2.0


def embedded(prompts: Sequence[str], size: int = SIZE) -> Float[np.ndarray, "B size"]:
    """Unit vectors of prompts: signed counts of hashed words, pairs of neighbours and letter trigrams (Weinberger et
    al. 2009, arXiv 0902.2206). Case, punctuation and repeated blanks do not matter; the order of words does.

    Raises:
        ValueError: a prompt without a letter or digit.
    """
    found = np.zeros((len(prompts), size), np.float32)
    for row, prompt in enumerate(prompts):
        words = re.findall(r"[^\W_]+", prompt.lower())
        if not words:
            raise ValueError(f"prompt: expected words, found {prompt!r}")
        for token, weight in _tokens(words):
            digest = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
            found[row, (digest >> 1) % size] += weight if digest & 1 else -weight
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def nearest(prompt: str, captions: Sequence[str], count: int = 3) -> tuple[str, ...]:
    """Captions most like a prompt, best first: what a generator trained on them can know of it."""
    likeness = embedded(captions) @ embedded([prompt])[0]
    return tuple(captions[i] for i in np.argsort(-likeness, kind="stable")[:count])


def _tokens(words: Sequence[str]) -> list[tuple[str, float]]:
    tokens = [(word, _WORD) for word in words]
    tokens += [(f"{a} {b}", 1.0) for a, b in itertools.pairwise(words)]
    for word in words:
        marked = f"<{word}>"
        tokens += [(marked[i : i + 3], 1.0) for i in range(len(marked) - 2)]
    return tokens
