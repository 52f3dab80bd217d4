"""The generator of human motion: text in, motion out.

generator = load_generator("motion", adapter="physics")
samples = generator.sample(["a person walks"], samples=4, seconds=2.0, seed=0)
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util
from jaxtyping import Bool, Float, Key

from mjxhuman.generators import flow
from mjxhuman.generators.adapter_files import load_adapter
from mjxhuman.generators.adapters import Adapter, variables
from mjxhuman.generators.base import LatentRollout, Params
from mjxhuman.generators.motion import text
from mjxhuman.generators.motion.features import Scale, feature_size, from_features
from mjxhuman.generators.motion.network import SIZES, MotionTransformer, NetworkSize
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.runs import atomic_write
from mjxhuman.types import Array, Motion, Provenance

FORMAT, VERSION = "mjxhuman-motion-generator", 1
#: What a run calls its result.
FILE = "generator.npz"
#: The generator that ships, and its adapter, post-trained with the gradient of the feasibility score: by these names.
MOTION, PHYSICS = "motion", "physics"
_SHIPPED = Path(__file__).parent / "shipped"
#: Steps of Euler's method that a sample takes; samples made together.
STEPS, _BATCH = 20, 64


@struct.dataclass
class TextCondition:
    """Embedded prompts, and which frames of the windows are there."""

    text: Float[Array, "B 1 m"]
    valid: Bool[Array, "B T"]


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Motions of prompts, sample by sample within each prompt."""

    motions: tuple[Motion, ...]
    prompts: tuple[str, ...]  # of each motion
    nearest: Mapping[str, tuple[str, ...]]  # captions of the training most like each prompt


@dataclasses.dataclass(frozen=True, eq=False)
class MotionGenerator:
    """A trained network with what its numbers mean; a ``generators.base.Generator``.

    Latents are standardised features ``(B, T, n)`` of ``frames`` frames at ``fps``.
    """

    params: Params
    size: NetworkSize
    scale: Scale
    frames: int  # of the windows that it was trained on, the most that it makes
    fps: float
    humanoid: Humanoid
    captions: tuple[str, ...]  # that it was trained on
    facts: Mapping[str, Any]  # how it was trained
    adapter: Adapter | None = None  # used by ``sample``
    steps: int = STEPS

    @property
    def noise_levels(self) -> Float[np.ndarray, " n"]:
        """Levels that samples go through."""
        return flow.levels(self.steps)

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        """Attention and the layers between: what PEFT's users adapt in transformers."""
        return ("blocks_*",)

    def condition(self, prompts: Sequence[str], seconds: float | None = None) -> TextCondition:
        """Embedded prompts, for motions of so many seconds; None: as long as it makes.

        Raises:
            ValueError: a prompt without words, or more seconds than it makes.
        """
        frames = self.frames if seconds is None else round(seconds * self.fps)
        if not 2 <= frames <= self.frames:
            raise ValueError(
                f"seconds: expected {2 / self.fps:.2f} to {self.frames / self.fps:g} of this generator, found {seconds}"
            )
        valid = np.broadcast_to(np.arange(self.frames) < frames, (len(prompts), self.frames))
        return TextCondition(jnp.asarray(text.embedded(prompts)[:, None]), jnp.asarray(valid))

    def velocity(self, params: Params, adapter: Adapter | None, x: Array, s: Array, cond: TextCondition) -> Array:
        """See ``Generator``."""
        return _velocity(self.size, params, adapter, x, s, cond)

    def noise(self, rng: Key[Array, " B"]) -> Float[Array, "B T n"]:
        """What samples of keys begin with."""
        shape = (self.frames, feature_size(self.humanoid))
        return jax.vmap(lambda key: jax.random.normal(key, shape))(rng)

    def rollout(
        self,
        params: Params,
        adapter: Adapter | None,
        rng: Key[Array, " B"],
        cond: TextCondition,
        last: int | None = None,
    ) -> LatentRollout:
        """See ``Generator``."""
        latents = _rolled(self.size, self.steps, last, params, adapter, self.noise(rng), cond, None)
        return LatentRollout(latents, jnp.asarray(self.noise_levels))

    def decode(self, latents: Float[Array, "B T n"]) -> Float[Array, "B T nq"]:
        """Coordinates of the body; it starts at the origin and looks along x."""
        return from_features(self.humanoid, self.scale.from_unit(latents), self.fps)

    def features(
        self,
        prompts: Sequence[str],
        samples: int = 1,
        seed: int = 0,
        seconds: float | None = None,
        guidance: float = 1.0,
    ) -> tuple[Float[np.ndarray, "N T n"], tuple[str, ...]]:
        """Features of samples, and the prompt of each; see ``sample``."""
        if samples < 1:
            raise ValueError(f"samples: expected 1 or more, found {samples}")
        asked = tuple(prompt for prompt in prompts for _ in range(samples))
        keys = [_key(seed, prompt, k) for prompt in prompts for k in range(samples)]
        parts = []
        for first in range(0, len(asked), _BATCH):  # of one size, for one program
            rows = np.minimum(np.arange(first, first + min(_BATCH, len(asked))), len(asked) - 1)
            cond = self.condition([asked[i] for i in rows], seconds)
            noise = self.noise(jnp.stack([keys[i] for i in rows]))
            strength = None if guidance == 1.0 else jnp.asarray(guidance, noise.dtype)
            latents = _rolled(self.size, self.steps, None, self.params, self.adapter, noise, cond, strength)
            parts.append(np.asarray(latents)[: len(asked) - first, : int(cond.valid[0].sum())])
        return np.asarray(self.scale.from_unit(np.concatenate(parts)), np.float32), asked

    def sample(
        self,
        prompts: Sequence[str],
        samples: int = 1,
        seconds: float | None = None,
        seed: int = 0,
        guidance: float = 1.0,
    ) -> Samples:
        """Motions of prompts, ``samples`` of each; sample k of a prompt is the same whatever else is asked for.

        Args:
            prompts, samples: what, and how many of each. seconds: of each motion; None: as long as it makes.
            seed: of the noise.
            guidance: away from what it makes without a prompt (Ho and Salimans 2022, arXiv 2207.12598), at twice the
                time; 1: not at all.

        Raises:
            ValueError: as ``condition``, or less than one sample.
        """
        features, asked = self.features(prompts, samples, seed, seconds, guidance)
        qpos = np.asarray(from_features(self.humanoid, features, self.fps))
        origins = [Provenance(path=prompt, format="generated") for prompt in asked]
        motions = tuple(
            motion_from_qpos(self.humanoid, q, self.fps, provenance=origin)
            for q, origin in zip(qpos, origins, strict=True)
        )
        return Samples(motions, asked, {p: text.nearest(p, self.captions) for p in prompts})


def _key(seed: int, prompt: str, sample: int) -> Array:
    digest = hashlib.blake2b(prompt.encode(), digest_size=4).digest()
    key = jax.random.fold_in(jax.random.key(seed), int.from_bytes(digest, "little"))
    return jax.random.fold_in(key, sample)


def _velocity(
    size: NetworkSize, params: Params, adapter: Adapter | None, x: Array, s: Array, cond: TextCondition
) -> Array:
    found: Array = MotionTransformer(size).apply(variables(params, adapter), x, s, cond.text, cond.valid)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _rolled(
    size: NetworkSize,
    steps: int,
    last: int | None,
    params: Params,
    adapter: Adapter | None,
    noise: Array,
    cond: TextCondition,
    guidance: Array | None,
) -> Array:
    """Latents of noise: one program for all generators of a size, with one adapter or another."""

    def field(x: Array, s: Array) -> Array:
        level = jnp.full(x.shape[0], s, x.dtype)
        told = _velocity(size, params, adapter, x, level, cond)
        if guidance is None:
            return told
        free = _velocity(size, params, adapter, x, level, TextCondition(jnp.zeros_like(cond.text), cond.valid))
        return free + guidance * (told - free)

    return flow.euler(field, noise, flow.levels(steps), last=last)


def init_generator(
    size: str, scale: Scale, frames: int, fps: float, captions: Sequence[str], seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> MotionGenerator:  # fmt: skip
    """An untrained generator of the built-in body.

    Raises:
        ValueError: no such size.
    """
    if size not in SIZES:
        raise ValueError(f"size: expected one of {', '.join(SIZES)}, found {size!r}")
    humanoid = load_humanoid("smpl")
    arrays = jnp.zeros((1, 2, feature_size(humanoid))), jnp.zeros(1), jnp.zeros((1, 1, text.SIZE))
    params = jax.jit(MotionTransformer(SIZES[size]).init)(jax.random.key(seed), *arrays)["params"]
    return MotionGenerator(params, SIZES[size], scale, frames, fps, humanoid, tuple(captions), dict(facts or {}))


def save_generator(path: str | os.PathLike[str], generator: MotionGenerator) -> None:
    """Write a ``.npz`` file that ``load_generator`` reads; weights in half precision."""
    header = {
        "format": FORMAT, "version": VERSION, "size": dataclasses.asdict(generator.size), "frames": generator.frames,
        "fps": generator.fps, "captions": generator.captions, "facts": dict(generator.facts),
    }  # fmt: skip
    flat = traverse_util.flatten_dict(generator.params, sep="/")
    arrays = {f"params/{name}": np.asarray(x, np.float16) for name, x in flat.items()}
    with atomic_write(Path(path), "wb") as file:
        np.savez_compressed(
            file, header=np.array(json.dumps(header)), mean=np.asarray(generator.scale.mean, np.float32),
            deviation=np.asarray(generator.scale.deviation, np.float32), **arrays,
        )  # fmt: skip


def load_generator(
    path: str | os.PathLike[str], adapter: str | os.PathLike[str] | None = None, *, force: bool = False
) -> MotionGenerator:
    """A generator from a file of ``save_generator``, or from the folder of a run that wrote one.

    Args:
        path: of it, or "motion" for the one that ships. adapter: file or folder of an adapter that samples are made
            with (``adapter_files``), or "physics" for the one of the shipped generator; None: none.
        force: take an adapter that was trained beside other weights.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a generator's, of another version, or weights of another network (the first that differs); an
            adapter of another one.
    """
    if adapter == PHYSICS:
        adapter = _SHIPPED / PHYSICS
    file = _SHIPPED / f"{MOTION}.npz" if path == MOTION else Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file")
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(str(arrays.pop("header")))
        if header.get("format") != FORMAT:
            raise ValueError(f"format {header.get('format')!r}")
        mean, deviation = arrays.pop("mean"), arrays.pop("deviation")
    except (KeyError, ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: expected a motion generator ({FORMAT}), found {error}") from None
    if header["version"] != VERSION:
        raise ValueError(f"{file}: version: expected {VERSION}, found {header['version']}")
    size = NetworkSize(**header["size"])
    flat = {
        name.removeprefix("params/"): jnp.asarray(x, jnp.float32)
        for name, x in arrays.items()
        if name.startswith("params/")
    }
    humanoid = load_humanoid("smpl")
    _check(file, {**flat, "mean": mean, "deviation": deviation}, size, feature_size(humanoid))
    params = traverse_util.unflatten_dict(flat, sep="/")
    return MotionGenerator(
        params, size, Scale(mean, deviation), header["frames"], header["fps"], humanoid,
        tuple(header["captions"]), header["facts"],
        None if adapter is None else load_adapter(adapter, params, force=force)[0],
    )  # fmt: skip


def _check(file: Path, flat: Mapping[str, Array], size: NetworkSize, features: int) -> None:
    """Raises ValueError: arrays of another network."""
    arrays = jnp.zeros((1, 2, features)), jnp.zeros(1), jnp.zeros((1, 1, text.SIZE))
    shapes = jax.eval_shape(MotionTransformer(size).init, jax.random.key(0), *arrays)["params"]
    expected = {name: x.shape for name, x in traverse_util.flatten_dict(shapes, sep="/").items()}
    expected |= {"mean": (features,), "deviation": (features,)}
    found = {name: x.shape for name, x in flat.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{file}: {name}: expected {expected.get(name)}, found {found.get(name)}")
        if not np.isfinite(flat[name]).all():
            raise ValueError(f"{file}: {name}: expected finite numbers, found others")
