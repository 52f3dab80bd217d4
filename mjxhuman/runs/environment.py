"""What a result was computed with: machine, versions, commit. For benchmarks, run folders and ``mjxhuman info``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from mjxhuman.version import __version__

PACKAGES = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "numpy", "scipy", "flax", "jaxlie")


def describe(devices: bool = True) -> dict[str, Any]:
    """The machine and the software, as a JSON-ready dict.

    Args:
        devices: ask JAX for its devices too, which starts its backend.

    Returns:
        ``mjxhuman`` version, ``commit`` (None outside a checkout; "+" appended where files differ from it),
        ``python``, ``platform``, ``cpu`` model, ``cpu_count`` (cores this process may use), ``memory_gb``,
        ``packages`` (name -> version, None if missing) and ``devices`` (one string per JAX device).
    """
    result: dict[str, Any] = {
        "mjxhuman": __version__,
        "commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpu_count": cpu_count(),
        "memory_gb": _memory_gb(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    if devices:
        import jax

        result["devices"] = [f"{device.platform}:{device.device_kind}" for device in jax.devices()]
    return result


def cpu_count() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit(folder: Path | None = None) -> str | None:
    """Commit of the checkout that this package (or ``folder``) lies in, None where it is no checkout.

    "+" is appended when tracked files differ from the commit.
    """
    folder = folder or Path(__file__).resolve().parent
    root = _git(folder, "rev-parse", "--show-toplevel")
    # A package installed inside some other project's checkout is not at that project's commit.
    if root is None or _git(folder, "ls-files", "--error-unmatch", ".") is None:
        return None
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit + "+" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
