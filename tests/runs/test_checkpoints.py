"""Checkpoints: what is kept, what is refused, and a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from mjxhuman.runs.checkpoints import CheckpointMismatch, Checkpoints, differences

FACTS = {"config": {"hidden": (256, 256), "rate": 1e-4}, "seed": 0}


@struct.dataclass
class Thing:
    weights: dict[str, jax.Array]
    rng: jax.Array
    nothing: jax.Array | None
    count: jax.Array


def thing(seed: int, size: int = 3) -> Thing:
    keys = jax.random.split(jax.random.key(seed), 4)
    weights = {"w": jax.random.normal(keys[0], (size, 2)), "flag": jnp.asarray([True, False])}
    return Thing(weights, keys, None, jnp.int32(seed))


def assert_same(a: Thing, b: Thing) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    np.testing.assert_array_equal(jax.random.key_data(a.rng), jax.random.key_data(b.rng))
    assert a.rng.dtype == b.rng.dtype
    np.testing.assert_array_equal(a.weights["w"], b.weights["w"])
    np.testing.assert_array_equal(a.weights["flag"], b.weights["flag"])
    assert int(a.count) == int(b.count)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(7, thing(1), FACTS)
    step, restored = Checkpoints(tmp_path).restore(thing(2), FACTS)
    assert step == 7
    assert_same(restored, thing(1))


@struct.dataclass
class Renamed:
    """A ``Thing`` whose field without arrays has another name."""

    weights: dict[str, jax.Array]
    rng: jax.Array
    nil: jax.Array | None
    count: jax.Array


def test_other_fields_without_arrays_are_named_and_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(7, thing(1), FACTS)
    other = Renamed(thing(1).weights, thing(1).rng, None, thing(1).count)
    with pytest.raises(CheckpointMismatch, match=r"/7: .*other fields: begin a new folder(.|\n)*nothing"):
        Checkpoints(tmp_path).restore(other, FACTS)


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, score in ((1, None), (2, 0.5), (3, None), (4, 0.1), (5, None), (6, None)):
        checkpoints.save(step, thing(step), FACTS, score)
    assert checkpoints.steps == [2, 5, 6]
    assert Checkpoints(tmp_path, keep=2).best == 2
    _, best = checkpoints.restore(thing(0), FACTS, step=2)
    assert_same(best, thing(2))
    assert not checkpoints.is_best(0.4)
    assert not checkpoints.is_best(None)
    assert checkpoints.is_best(0.5)
    checkpoints.save(7, thing(7), FACTS, 0.9)
    assert checkpoints.steps == [6, 7]


def test_every_difference_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, thing(1), FACTS)
    other = {"config": {"hidden": (256, 128), "rate": 1e-4, "clip": 0.2}, "seed": 0}
    with pytest.raises(CheckpointMismatch) as error:
        checkpoints.restore(thing(1, size=5), other)
    message = str(error.value)
    assert str(tmp_path / "1") in message
    assert "config.hidden: saved [256, 256], here [256, 128]" in message
    assert "config.clip: saved '(absent)', here 0.2" in message
    assert "saved 'float32 (3, 2)', here 'float32 (5, 2)'" in message
    assert "rate" not in message
    assert "seed" not in message


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="expected a checkpoint, found none"):
        checkpoints.restore(thing(0), FACTS)
    checkpoints.save(3, thing(0), FACTS)
    with pytest.raises(FileNotFoundError, match=r"expected a checkpoint 4, found \[3\]"):
        checkpoints.restore(thing(0), FACTS, step=4)


def test_a_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, thing(1), FACTS)
    checkpoints.close()
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    again = Checkpoints(tmp_path)
    assert again.steps == [1]
    assert_same(again.restore(thing(0), FACTS)[1], thing(1))


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, thing(1), FACTS)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100, 90, 10))
    with pytest.raises(OSError, match=r"checkpoint 2 was not written: needs .* the checkpoints \[1\] are intact"):
        checkpoints.save(2, thing(2), FACTS)
    assert checkpoints.steps == [1]


FULL_DISK = """
import resource, sys
import jax.numpy as jnp
from mjxhuman.runs.checkpoints import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
checkpoints.save(1, {"w": jnp.ones(10)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # a file that grows beyond it fails as on a full disk
try:
    checkpoints.save(2, {"w": jnp.arange(1_000_000) * 1.7}, {})
except OSError as error:
    print("said:", error)
checkpoints = Checkpoints(sys.argv[1])
print("kept:", checkpoints.steps, float(checkpoints.restore({"w": jnp.zeros(10)}, {})[1]["w"].sum()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_write_that_fails_midway_leaves_the_earlier_ones(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "checkpoint 2 was not written" in done.stdout, done.stdout + done.stderr
    assert "the checkpoints [1] are intact" in done.stdout
    assert "kept: [1] 10.0" in done.stdout


def test_differences_of_equal_facts_are_none() -> None:
    assert differences(FACTS, FACTS) == []
