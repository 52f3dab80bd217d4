"""The Python environment that MediaPipe lives in, apart from ours because it needs other versions of packages.

It lies in ``$MJXHUMAN_MEDIAPIPE``, else in the user's data folder (``~/.local/share/mjxhuman/mediapipe-0.10.21``), and
is made by ``mjxhuman.encoders.install_mediapipe``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VERSION = "0.10.21"
COMMAND = "python -m mjxhuman.encoders.install_mediapipe"
#: Pose networks, the better first, and what MediaPipe calls their complexity. Its wheel contains "full" alone.
MODELS = {"heavy": 2, "full": 1}


class NotInstalled(RuntimeError):
    """MediaPipe's environment does not exist or does not work; the message says what to do."""


def home() -> Path:
    """The environment's folder, whether it exists or not."""
    if folder := os.environ.get("MJXHUMAN_MEDIAPIPE"):
        return Path(folder).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "mjxhuman" / f"mediapipe-{VERSION}"


def interpreter() -> Path:
    """The environment's Python.

    Raises:
      NotInstalled: there is none.
    """
    python = python_of(home())
    if not python.exists():
        raise NotInstalled(
            f"the encoder 'blazepose' needs MediaPipe {VERSION} in an environment of its own, and there is none in "
            f"{home()}. Make it with '{COMMAND}' (or 'make venv-video' in a checkout); the variable MJXHUMAN_MEDIAPIPE "
            "names another folder"
        )
    return python


def is_installed() -> bool:
    """Whether the environment is there; it is not started."""
    return python_of(home()).exists()


def models() -> tuple[str, ...]:
    """The networks of ``MODELS`` that are installed."""
    return tuple(name for name in MODELS if weights_of(home(), name).exists())


def weights_of(folder: Path, model: str) -> Path:
    """Where an environment keeps the weights of a pose network."""
    packages = next(iter(sorted(folder.glob("lib/python3.*/site-packages"))), folder / "Lib" / "site-packages")
    return packages / "mediapipe" / "modules" / "pose_landmark" / f"pose_landmark_{model}.tflite"


def check(python: Path) -> str:
    """MediaPipe's version as the environment itself reports it.

    Raises:
      NotInstalled: it cannot be imported there.
    """
    done = subprocess.run(
        [str(python), "-c", "import mediapipe; print(mediapipe.__version__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise NotInstalled(f"{python}: MediaPipe cannot be imported ({last[0]}); make the environment anew: {COMMAND}")
    return done.stdout.split()[-1]


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"
