"""Make the environment that MediaPipe lives in.

    python -m mjxhuman.encoders.install_mediapipe            # about 150 MB to download, 380 MB on disk
    python -m mjxhuman.encoders.install_mediapipe --check    # exit code 0 if it is there and works

MediaPipe's wheels exist for Python up to 3.12: with a newer one, name an older interpreter with ``--python``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mjxhuman.encoders.mediapipe_home import COMMAND, VERSION, NotInstalled, check, home, interpreter, python_of

#: Interpreters that there are wheels for and that the requirements were chosen for.
PYTHONS = ((3, 10), (3, 11), (3, 12))


def install(folder: Path, python: str | None = None) -> Path:
    """Make the environment in ``folder``, replacing what is there.

    Args:
      folder: of the environment. python: interpreter to make it with; by default this one if it fits, else one on PATH.

    Returns:
      The environment's Python.

    Raises:
      NotInstalled: no interpreter that fits, or pip fails.
    """
    base = python or _fitting_interpreter()
    if _minor(base) not in PYTHONS:
        raise NotInstalled(f"{base}: expected {_versions()}, which MediaPipe {VERSION} has wheels for")
    shutil.rmtree(folder, ignore_errors=True)
    requirements = str(resources.files("mjxhuman.encoders") / "mediapipe.txt")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", requirements]
    own = str(python_of(folder))
    for command in ([base, "-m", "venv", str(folder)], [own, *pip]):
        if subprocess.run(command, check=False).returncode:
            shutil.rmtree(folder, ignore_errors=True)  # half an environment is none
            raise NotInstalled(f"failed: {' '.join(command)}")
    return Path(own)


def _versions() -> str:
    return f"Python {PYTHONS[0][0]}.{PYTHONS[0][1]} to {PYTHONS[-1][0]}.{PYTHONS[-1][1]}"


def _minor(python: str) -> tuple[int, ...]:
    """Version of an interpreter, () if it does not run."""
    try:
        code = "import sys; print(*sys.version_info[:2])"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def _fitting_interpreter() -> str:
    names = [sys.executable, *(f"python{a}.{b}" for a, b in reversed(PYTHONS))]
    for name in names:
        if _minor(name) in PYTHONS:
            return name
    raise NotInstalled(f"no {_versions()} found ({', '.join(names)}); name one with --python")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or check the environment."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="The environment that MediaPipe lives in.")
    parser.add_argument("--check", action="store_true", help="only say whether it works")
    parser.add_argument("--folder", type=Path, default=home(), help="where it lies (default: %(default)s)")
    parser.add_argument("--python", help=f"interpreter to make it with ({_versions()})")
    args = parser.parse_args(arguments)
    try:
        if not args.check:
            print(f"installing MediaPipe {VERSION} into {args.folder} ...", flush=True)
            install(args.folder, args.python)
        python = python_of(args.folder) if args.folder != home() else interpreter()
        print(f"MediaPipe {check(python)} works: {python}")
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
