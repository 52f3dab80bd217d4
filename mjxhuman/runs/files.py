"""Files that a kill or a full disk cannot leave half written.

``atomic_write`` for files written once; ``JsonLines`` for a log that grows by one record at a time and is continued
by the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when complete.

    Args:
        path: the file; missing folders are created.
        mode: "w" for text in UTF-8, "wb" for bytes.

    Yields:
        The open temporary file, in the same folder. It replaces ``path`` when the block ends, and is removed when the
        block raises: then ``path`` is what it was before.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"atomic_write: mode is 'w' or 'wb', found {mode!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The records of a JSON-lines file, in order. A torn last line (a killed writer) is left out.

    Args:
        path: the file; nothing is yielded where it does not exist.

    Raises:
        ValueError: a line other than an unterminated last one is not a JSON object (file and line are named).
    """
    path = Path(path)
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number}: expected a JSON object, found {line[:60]!r} ({error})"
                ) from None
            if not isinstance(record, dict):
                raise ValueError(f"{path}, line {number}: expected a JSON object, found {type(record).__name__}")
            yield record


def finished_files(path: str | os.PathLike[str], config: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Which files a log has a result for, to be left out by the run that continues it.

    Args:
        path: a JSON-lines file whose records name ``path``, ``sha256``, ``config`` and ``error``; the last of a path
            counts.
        config: hash of all that decides a result; records of another are no results.

    Returns:
        The records without an error, by path and SHA-256.
    """
    latest = {str(record.get("path")): record for record in read_json_lines(path)}
    return {
        (name, record["sha256"]): record
        for name, record in latest.items()
        if record.get("config") == config and not record.get("error")
    }


class JsonLines:
    """Appends records to a JSON-lines file; each is on disk when ``append`` returns.

    Opening cuts off a torn last line, so that a file whose writer was killed can be continued. One writer at a time.
    Numbers that JSON lacks (NaN, infinities) are written as null.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        _cut_torn_line(self.path)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record as one line."""
        self._file.write(json_line(record).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Flush to the disk and close."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Truncate after the last line end."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            position = file.read(end - start).rfind(b"\n")
            if position >= 0:
                file.truncate(start + position + 1)
                return
            end = start
        file.truncate(0)


def json_line(record: dict[str, Any]) -> str:
    """A record as one line of JSON, without the line end; NaN and infinities become null."""
    return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    """The value with NaN and infinities replaced by None, NumPy and JAX scalars and arrays by Python's numbers."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
