"""Sharded training of the toy: python run_sharded.py FOLDER PROCESSES INDEX PORT."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import jax
import numpy as np
from toy import called_back, small_ppo, style_config

from mjxhuman.learning.trainer import TrainOptions, train
from mjxhuman.runs import prepare_jax

ITERATIONS = 3

if __name__ == "__main__":
    out, processes, index, port = sys.argv[1], *map(int, sys.argv[2:5])
    prepare_jax(cpu_devices=2) if processes == 1 else prepare_jax()
    if processes > 1:
        jax.distributed.initialize(f"localhost:{port}", processes, index)
    assert jax.device_count() == 2, jax.devices()
    assert jax.local_device_count() == 2 // processes
    algorithm = small_ppo(amp=style_config())
    for iterations in (1, ITERATIONS):  # the second call continues from the first one's checkpoint
        options = TrainOptions(out, iterations, tensorboard=False, quiet=True)
        state = train(called_back(), algorithm, options, evaluate=lambda policy, done: {"score": done})
    leaves = jax.tree_util.tree_leaves_with_path((state.learner, state.normalizer, state.curriculum))
    results = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    mine = [np.asarray(s.data) for s in state.actors.state.task.position.addressable_shards]
    assert len(mine) == 2 // processes
    if index == 0:
        np.savez(Path(out) / "results.npz", first_device=mine[0], **results)
    if processes > 1:
        jax.distributed.shutdown()
