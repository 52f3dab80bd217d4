"""Epochs of both objectives on so many devices: python run_devices.py FILE DEVICES."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mjxhuman.runs import prepare_jax

if __name__ == "__main__":
    out, devices = sys.argv[1], int(sys.argv[2])
    prepare_jax(cpu_devices=devices)
    import jax
    import numpy as np
    from blobs import OPTIONS, PROMPTS, Blobs, Field, right
    from jax import numpy as jnp

    assert jax.device_count() == devices, jax.devices()

    class Right:
        """``blobs.right``, with a slope."""

        def __call__(self, made, prompts):
            return right(made, prompts)

        def graded(self, made):
            return jnp.tanh(made[:, 0]), made[:, 0] < 3.0

    from mjxhuman.generators.finetune import PostTraining
    from mjxhuman.generators.gradient import RewardGradient

    blobs = Blobs(Field().init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(1))["params"])
    found = {}
    for kind in (PostTraining, RewardGradient):
        run = kind(blobs, PROMPTS, Right(), OPTIONS)
        state = run.init()
        for _ in range(3):
            state, log = run.epoch(state)
        leaves = jax.tree_util.tree_leaves_with_path(state.current)
        found |= {f"{kind.__name__}{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}
        if devices > 1:
            part = next(run.micro_batches(run.keys(0)[0]))[0]
            assert {shard.data.shape[0] for shard in part.addressable_shards} == {len(part) // devices}
    np.savez(out, **found)
