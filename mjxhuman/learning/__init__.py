"""Reinforcement learning: PPO in one jitted program per iteration, an adversarial style reward, training runs."""
