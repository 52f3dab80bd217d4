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

import numpy as np

from mjxhuman.data.source import Source

_HEADER_ERRORS = (ValueError, TypeError, KeyError, SyntaxError, tokenize.TokenError, RecursionError, OverflowError)
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError, KeyError,
    OverflowError, MemoryError,
)  # fmt: skip


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
                data = archive.read(member)
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
