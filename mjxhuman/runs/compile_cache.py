"""JAX's persistent compilation cache: a program compiled once on a machine is loaded in later processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax


def cache_root() -> Path | None:
    """Folder of everything that is kept between runs and can be made again; None if the user switched that off.

    ``MJXHUMAN_CACHE``, else the user's cache folder: ``$XDG_CACHE_HOME/mjxhuman`` or ``~/.cache/mjxhuman`` on Linux,
    ``~/Library/Caches/mjxhuman`` on macOS, ``%LOCALAPPDATA%/mjxhuman`` on Windows. ``MJXHUMAN_CACHE=off`` switches off.
    """
    if own := os.environ.get("MJXHUMAN_CACHE"):
        return None if own.lower() in ("off", "0", "none") else Path(own)
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mjxhuman"


def cache_folder() -> Path | None:
    """Where compiled programs are kept: ``JAX_COMPILATION_CACHE_DIR`` (JAX's own variable), else in ``cache_root``."""
    if folder := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(folder)
    root = cache_root()
    return None if root is None else root / "jax"


def enable_compile_cache() -> Path | None:
    """Switch the persistent compilation cache on, for every program however quick its compilation.

    Called by the command line and the launchers before their first computation, never at import.

    Returns:
        The folder, or None where the cache is switched off or the folder cannot be written (then a line on stderr
        says so, and everything works, only slower at each start).
    """
    folder = cache_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        print(
            f"mjxhuman: no compilation cache, {folder} cannot be written (MJXHUMAN_CACHE chooses another)",
            file=sys.stderr,
        )
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder
