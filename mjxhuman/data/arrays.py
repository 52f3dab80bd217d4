"""Arrays of .npz and .npy files, read without ever unpickling and without trusting what a header says about sizes."""

from __future__ import annotations

import io
import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source

_HEADER_ERRORS = (ValueError, TypeError, KeyError, SyntaxError, tokenize.TokenError, RecursionError, OverflowError)
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError, KeyError,
    OverflowError, MemoryError,
)  # fmt: skip


#: Decompressed size of one member or file, bytes: an hour of SMPL-H at 240 Hz has half of it.
MOST_BYTES = 1 << 30
#: Above this size a member must not be this many times its compressed size: motion compresses by less than ten.
_SUSPECT_BYTES, _SUSPECT_RATIO = 1 << 26, 100


def read_member(source: Source, archive: zipfile.ZipFile, member: str) -> bytes:
    """A member of a zip archive, unless it is far larger than any motion.

    Raises:
        MotionFileError: too large when decompressed.
        KeyError and the errors of ``zipfile``: missing or damaged.
    """
    info = archive.getinfo(member)
    bomb = info.file_size > _SUSPECT_BYTES and info.file_size > _SUSPECT_RATIO * max(info.compress_size, 1)
    if bomb or info.file_size > MOST_BYTES:
        found = f"{info.file_size >> 20} MiB in {info.compress_size >> 10} KiB"
        raise source.error(member, found, f"at most {MOST_BYTES >> 20} MiB, and numbers of a motion")
    return archive.read(member)


def array_from_npy(source: Source, field: str, data: bytes) -> np.ndarray:
    """The array in the bytes of an .npy file (read-only).

    Raises:
        MotionFileError: pickled objects, a broken header, fewer bytes than the header promises.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header in Python 2's spelling is read all the same
            shape, fortran_order, dtype = read_header(stream)
    except _HEADER_ERRORS as error:
        raise source.error(field, f"no NumPy array ({error})"[:200], "the .npy format") from None
    if dtype.hasobject:
        raise source.error(
            field,
            "pickled Python objects, which are never loaded because unpickling can run any code",
            "plain numbers: load the file where you trust it and write it again with np.savez(path, name=array, ...)",
        )
    count = math.prod(shape)
    if any(size < 0 for size in shape) or count * dtype.itemsize > len(data) - stream.tell():
        found = f"{len(data) - stream.tell()} bytes"
        raise source.error(field, found, f"an array of shape {shape} and type {dtype}: the file is truncated")
    try:
        flat = np.frombuffer(data, dtype, count, stream.tell()) if count and dtype.itemsize else np.empty(count, dtype)
        return flat.reshape(shape, order="F" if fortran_order else "C")
    except (ValueError, MemoryError) as error:
        raise source.error(field, f"no array ({error})"[:200], f"an array of shape {shape}") from None


def npy_shape(head: bytes) -> tuple[int, ...]:
    """The shape that the beginning of an .npy file states; () where there is none."""
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
        return read_header(stream)[0]
    except _HEADER_ERRORS:
        return ()


class NpzFile(Mapping[str, np.ndarray]):
    """The arrays of an .npz file by name, each read when it is asked for.

    Raises:
        MotionFileError: on opening, no zip file; on access, a damaged member or one of Python objects.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        try:
            with zipfile.ZipFile(source.path) as archive:
                members = archive.namelist()
        except _ZIP_ERRORS as error:
            raise source.error("file", f"no .npz file ({error})", "a zip archive of arrays") from None
        self._members = {name.removesuffix(".npy"): name for name in members if name.endswith(".npy")}

    def __getitem__(self, key: str) -> np.ndarray:
        member = self._members[key]
        try:
            with zipfile.ZipFile(self._source.path) as archive:
                data = read_member(self._source, archive, member)
        except MotionFileError:
            raise
        except _ZIP_ERRORS as error:
            raise self._source.error(key, f"a damaged member ({error})"[:200], "an array") from None
        return array_from_npy(self._source, key, data)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def numbers(self, key: str) -> np.ndarray:
        """The array as float64.

        Raises:
            MotionFileError: text, complex numbers, structured arrays.
        """
        array = self[key]
        if array.dtype.kind not in "biuf":
            raise self._source.error(key, f"an array of type {array.dtype}", "real numbers")
        return array.astype(np.float64)

    def text(self, key: str) -> str:
        """A single string, also where it is stored as bytes.

        Raises:
            MotionFileError: anything else.
        """
        array = self[key]
        if array.size != 1 or array.dtype.kind not in "US":
            raise self._source.error(key, f"an array of type {array.dtype} and shape {array.shape}", "one string")
        value = array.reshape(-1)[0]
        return value.decode("latin-1") if isinstance(value, bytes) else str(value)

    def licence(self) -> str:
        """What the file says about its licence; empty if it says nothing."""
        return next((self.text(key) for key in ("licence", "license") if key in self), "")

    def number(self, keys: tuple[str, ...]) -> float | None:
        """The first of ``keys`` that is there, as one number; None if none is.

        Raises:
            MotionFileError: the entry is no single number.
        """
        for key in keys:
            if key in self:
                array = self[key]
                if array.size != 1 or array.dtype.kind not in "iuf":
                    raise self._source.error(key, f"an array of type {array.dtype}, shape {array.shape}", "one number")
                return float(array.reshape(-1)[0])
        return None


class ArrayDict(NpzFile):
    """The same for arrays that are already in memory, as a pickle holds them: numbers, text and arrays by name."""

    def __init__(self, source: Source, values: Mapping[str, Any]) -> None:
        self._source = source
        self._members = {}
        self._values = {key: value for key, value in values.items() if not isinstance(value, Mapping)}

    def __getitem__(self, key: str) -> np.ndarray:
        try:
            array = np.asarray(self._values[key])
        except (ValueError, TypeError):
            array = np.asarray(None)
        if array.dtype.hasobject:
            raise self._source.error(key, type(self._values[key]).__name__, "an array of numbers")
        return array

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
