"""Post-training on several devices gives the numbers of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blobs import OPTIONS, PROMPTS, right, trained

from mjxhuman.generators import finetune

pytestmark = pytest.mark.compiled


def test_eight_devices_learn_what_one_learns(tmp_path):
    found = []
    for devices in (1, 8):
        out = tmp_path / f"{devices}.npz"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        environment.pop("XLA_FLAGS", None)
        script = Path(__file__).with_name("run_devices.py")
        done = subprocess.run([sys.executable, script, out, str(devices)], env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        with np.load(out) as file:
            found.append({name: file[name] for name in file.files})
    one, eight = found
    assert one.keys() == eight.keys() and len(one) > 10
    for name, value in one.items():
        np.testing.assert_allclose(eight[name], value, atol=1e-5, err_msg=name)
    assert max(np.abs(x).max() for name, x in one.items() if "B" in name) > 1e-3  # something was learned


def test_a_micro_batch_that_cannot_be_split_is_refused(monkeypatch):
    class Row:
        size = 3

    monkeypatch.setattr(finetune.jax, "device_count", lambda: 3)
    monkeypatch.setattr(finetune, "make_mesh", Row)
    with pytest.raises(ValueError, match="micro_batch: expected a multiple of the 3 devices, found 32"):
        finetune.PostTraining(trained(), PROMPTS, right, OPTIONS)
