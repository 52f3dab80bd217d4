"""A toy training run as a process of its own: python run_toy.py FOLDER ITERATIONS CHECKPOINT_EVERY."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from toy import point_mass, small_ppo

from mjxhuman.learning.trainer import TrainOptions, train
from mjxhuman.runs import prepare_jax

if __name__ == "__main__":
    folder, iterations, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    prepare_jax()
    options = TrainOptions(folder, iterations, checkpoint_every=every, keep=2, tensorboard=False, quiet=True)
    train(point_mass(), small_ppo(), options, facts={"task": "point mass"})
