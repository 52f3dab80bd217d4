"""A motion generator in PyTorch, post-trained on ``mjxhuman.motion_reward``: a toy, and the pattern of a real one.

    python examples/motion_reward.py            # needs torch; about a minute on two cores

The generator gives joint positions as HumanML3D's models do, (B, T, 22, 3), y up, 20 Hz: the walk of ``walk.npz`` at a
height over the floor and with a sway from side to side that it draws from a Gaussian. It begins with a walk that hovers
and sways; its mean learns by REINFORCE, with advantages within the batch, from the score alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import mjxhuman

FPS = 20.0


class Generator(torch.nn.Module):
    """Draws a height (dm) and a sway (dm) of each clip, and makes joints (B, T, 22, 3) m of them."""

    def __init__(self, walk: torch.Tensor) -> None:
        super().__init__()
        self.mean = torch.nn.Parameter(torch.tensor([0.6, 0.5]))
        self.spread = 0.15
        self.walk, self.seconds = walk, torch.arange(len(walk)) / FPS

    def forward(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Joints of ``count`` clips, and the log-probability (B,) of having drawn them."""
        chance = torch.distributions.Normal(self.mean, self.spread)
        drawn = chance.sample((count,))
        height, sway = 0.1 * drawn.T[..., None]
        joints = self.walk.repeat(count, 1, 1, 1)
        joints[..., 1] += height[..., None]
        joints[..., 0] += (sway * torch.sin(2.0 * torch.pi * 1.5 * self.seconds))[..., None]
        return joints, chance.log_prob(drawn).sum(-1)


def train(steps: int, count: int) -> list[float]:
    """Mean rewards of the steps; prints each with its clips per second."""
    torch.manual_seed(0)
    generator = Generator(walk())
    optimiser = torch.optim.Adam(generator.parameters(), lr=0.08, betas=(0.5, 0.99))
    mjxhuman.motion_reward(generator(count)[0], FPS, ground="none")  # compiles the physics, once
    means = []
    for step in range(steps):
        joints, log_probability = generator(count)
        start = time.perf_counter()
        # "none": the floor is where the generator has it, so that hovering shows
        scores = mjxhuman.motion_reward(joints, FPS, prompts=["a person walks"] * count, ground="none")
        seconds = time.perf_counter() - start
        valid = torch.from_numpy(scores.valid)  # what has no score takes no part
        total = torch.from_numpy(scores.total)[valid]
        advantage = (total - total.mean()) / (total.std() + 1e-6)
        optimiser.zero_grad()
        (-(advantage * log_probability[valid]).mean()).backward()
        optimiser.step()
        means.append(float(total.mean()))
        height, sway = (10.0 * generator.mean).tolist()
        print(
            f"step {step}: reward {means[-1]:.3f}, height {height:.1f} cm, sway {sway:.1f} cm; {count / seconds:.1f} "
            f"clips/s, {joints.shape[0] * joints.shape[1] / seconds:.0f} frames/s"
        )
    return means


def walk() -> torch.Tensor:
    """Joints (T, 22, 3) m of the walk, y up, 20 Hz."""
    motion = mjxhuman.resample(mjxhuman.load_motion(Path(__file__).parent / "walk.npz"), FPS)
    places = np.asarray(motion.body_pos)[:, list(motion.humanoid.smpl_body_ids[:22])]
    return torch.from_numpy(places[..., [1, 2, 0]].copy())  # z up -> y up: x to the left, z ahead


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--count", type=int, default=12, help="clips of a batch")
    options = parser.parse_args()
    train(options.steps, options.count)
