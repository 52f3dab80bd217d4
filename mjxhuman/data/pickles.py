"""Pickles, joblib dumps and torch archives, read by a machine that builds arrays and plain containers and nothing else.

A pickle is a program. This reader runs the part of its language that makes numbers, text, lists, dictionaries and
arrays; any other class it meets is named and refused, and nothing of it is imported. Archives of torch are a zip of
such a pickle and of the raw numbers, which needs no torch.
"""

from __future__ import annotations

import bz2
import collections
import io
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any, ClassVar

import numpy as np

from mjxhuman.data.arrays import MOST_BYTES, read_member
from mjxhuman.data.source import Source

_COMPRESSED: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"x\x01": zlib.decompressobj, b"x^": zlib.decompressobj, b"x\x9c": zlib.decompressobj,
    b"x\xda": zlib.decompressobj, b"BZh": bz2.BZ2Decompressor, b"\xfd7zXZ": lzma.LZMADecompressor,
    b"]\x00\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
}  # fmt: skip
#: numpy's functions under the names of its versions.
_NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "LongStorage": "i8", "IntStorage": "i4",
    "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip


class Refused(pickle.UnpicklingError):
    """A class that is not built; the message is its name."""


def is_compressed(head: bytes) -> bool:
    """Whether a file begins as one of joblib's compressions does."""
    return head.startswith(tuple(_COMPRESSED))


def _array(subtype: Any = None, shape: Any = None, typecode: Any = None) -> np.ndarray:
    return np.ndarray((0,), "i1")


def _dtype(code: Any, *_: Any) -> np.dtype:
    return np.dtype(code)


def _scalar(dtype: np.dtype, data: Any = b"") -> Any:
    return np.frombuffer(data, dtype)[0] if isinstance(data, bytes) and not dtype.hasobject else data


def _encode(text: str, coding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _from_buffer(data: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


class _Wrapper:
    """joblib's mark for an array whose bytes follow in the stream."""

    subclass = np.ndarray
    shape: tuple[int, ...] = ()
    order = "C"
    dtype: Any = None
    allow_mmap = False
    numpy_array_alignment_bytes: int | None = None


class _Inert:
    """What stands for a value of a class that says nothing about motion (ProtoMotions' enumerations)."""

    def __init__(self, *_: Any) -> None:
        pass


class _Storage:
    def __init__(self, kind: str) -> None:
        self.kind = kind


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    used = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1 if all(size) else 0
    if used > len(storage) or min((*size, *stride, offset, 0)) < 0:
        raise pickle.UnpicklingError("a tensor that reaches past its numbers")
    strides = [s * storage.itemsize for s in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()


class _Reader(pickle._Unpickler):  # type: ignore[misc]  # the one written in Python: joblib's arrays lie between opcodes
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: IO[bytes], storage: Callable[[str, str], np.ndarray] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self.file, self.storage = file, storage

    def find_class(self, module: str, name: str) -> Any:
        if module in _NUMPY and name in ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"):
            return {"_reconstruct": _array, "ndarray": np.ndarray, "dtype": _dtype, "scalar": _scalar,
                    "_frombuffer": _from_buffer}[name]  # fmt: skip
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module in ("builtins", "__builtin__") and name in ("set", "frozenset"):
            return {"set": set, "frozenset": frozenset}[name]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _Wrapper
        if self.storage is not None and module == "torch._utils" and name.startswith("_rebuild_tensor"):
            return _tensor
        if self.storage is not None and module == "torch" and name in _STORAGES:
            return _Storage(_STORAGES[name])
        if module.startswith("protomotions."):
            return _Inert
        raise Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        if self.storage is None or not (isinstance(pid, tuple) and len(pid) > 2 and isinstance(pid[1], _Storage)):
            raise Refused("a reference outside the file")
        return self.storage(str(pid[2]), pid[1].kind)

    def load_build(self) -> None:
        self.stack: list[Any]
        state, made = self.stack[-1], self.stack[-2]
        if isinstance(made, _Inert):
            self.stack.pop()
            return
        if not isinstance(made, np.ndarray | np.dtype | _Wrapper):
            raise Refused(type(made).__name__)
        if isinstance(made, _Wrapper):
            made.__dict__.update(state)
            self.stack.pop()
            self.stack[-1] = self._joblib_array(made)
            return
        super().load_build()  # type: ignore[misc]

    dispatch[pickle.BUILD[0]] = load_build

    def _joblib_array(self, wrapper: _Wrapper) -> np.ndarray:
        dtype = np.dtype(wrapper.dtype)
        if dtype.hasobject:
            raise Refused("an array of Python objects")
        if wrapper.numpy_array_alignment_bytes is not None:
            self.file.read(self.file.read(1)[0])
        count = int(np.prod(wrapper.shape, dtype=object))
        data = self.file.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise EOFError("the file ends within an array")
        return np.frombuffer(data, dtype, count).reshape(wrapper.shape, order="F" if wrapper.order == "F" else "C")


_ERRORS = (pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError, MemoryError,
           OverflowError, RecursionError, ImportError, AssertionError, NotImplementedError, UnicodeError)  # fmt: skip


def load_pickle(source: Source) -> Any:
    """The content of a pickle or joblib dump, compressed or not.

    Raises:
        MotionFileError: damaged, too large, or holding a class that is neither an array nor a plain container.
    """
    data = source.path.read_bytes()
    start = next((start for start in _COMPRESSED if data.startswith(start)), None)
    if start is not None:
        try:
            data = _COMPRESSED[start]().decompress(data, MOST_BYTES)
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
            raise source.error("file", f"damaged compression ({type(error).__name__})", "a joblib dump") from None
        if len(data) >= MOST_BYTES:
            raise source.error("file", f"more than {MOST_BYTES >> 20} MiB when decompressed", "a motion")
    return _load(source, _Reader(io.BytesIO(data)))


def load_torch(source: Source) -> Any:
    """The content of an archive of ``torch.save``, tensors as arrays.

    Raises:
        MotionFileError: as ``load_pickle``; an archive of torch before version 1.6.
    """
    try:
        with zipfile.ZipFile(source.path) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            data = read_member(source, archive, member)
            folder = member.removesuffix("data.pkl")

            def storage(key: str, kind: str) -> np.ndarray:
                return np.frombuffer(read_member(source, archive, f"{folder}data/{key}"), kind)

            return _load(source, _Reader(io.BytesIO(data), storage))
    except (zipfile.BadZipFile, StopIteration, OSError, RuntimeError, zlib.error) as error:
        found = f"no archive of torch ({type(error).__name__})"
        raise source.error("file", found, "tensors in plain dictionaries, saved by torch 1.6 or later") from None


def _load(source: Source, reader: _Reader) -> Any:
    try:
        return reader.load()
    except Refused as error:
        raise source.error(
            "file",
            f"the class {error}, which is not built because it could run any code",
            "arrays and plain containers: load the file where you trust it and save its arrays with np.savez(path, "
            "poses=..., trans=..., ...)",
        ) from None
    except _ERRORS as error:
        raise source.error("file", f"a damaged pickle ({type(error).__name__})", "a pickle") from None
