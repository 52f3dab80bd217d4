"""Two devices of one process and two processes of one device give the same numbers, with a called-back engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy import small_ppo, style_config

from mjxhuman.learning.policy import load_policy
from mjxhuman.runs import read_json_lines


def sharded(out: Path, processes: int) -> dict[str, np.ndarray]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("run_sharded.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("XLA_FLAGS", None)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(out), str(processes), str(index), str(port)],
            env=environment, stderr=subprocess.PIPE,
        )
        for index in range(processes)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=500)[1].decode() for process in running]
    finally:
        for process in running:
            process.kill()  # a process that hangs in a collective does not end for less
    assert [process.returncode for process in running] == [0] * processes, "\n".join(errors)
    with np.load(out / "results.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_two_devices(tmp_path: Path) -> None:
    one, two = sharded(tmp_path / "one", 1), sharded(tmp_path / "two", 2)
    assert one.keys() == two.keys()
    assert len(one) > 50
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    assert one["first_device"].shape == (32, 2)
    logs = [list(read_json_lines(tmp_path / name / "metrics.jsonl")) for name in ("one", "two")]
    assert [record["step"] for record in logs[0]] == [1, 2, 3]
    for a, b in zip(*logs, strict=True):
        for name in a.keys() - {"speed/steps_per_second"}:
            np.testing.assert_allclose(np.float64(a[name]), np.float64(b[name]), rtol=1e-5, atol=1e-6, err_msg=name)
    assert logs[0][2]["loss/actor"] != logs[0][1]["loss/actor"]
    assert load_policy(tmp_path / "two" / "best.npz")[1]["iteration"] == 3


def test_sizes_that_cannot_be_split_are_refused() -> None:
    small_ppo(amp=style_config()).check_devices(2)
    with pytest.raises(ValueError, match=r"PPOConfig\.num_envs: expected a multiple of the 3 devices, found 64"):
        small_ppo().check_devices(3)
    with pytest.raises(
        ValueError, match=r"PPOConfig\.amp\.replay_size: expected a multiple of the 16 devices, found 200"
    ):
        small_ppo(amp=style_config()).check_devices(16)
