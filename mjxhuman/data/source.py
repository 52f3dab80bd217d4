"""A motion file being read: the caller's overrides, the conventions used so far, and how to complain about the file.

A value (frame rate, up axis, unit) comes from the caller, else from the file, else from a convention of the format,
else it is an error that names the argument which settles it. Every value that is not simply the file's own leaves a
sentence, and the sentences end up in the motion's ``Provenance.conventions``.
"""

from __future__ import annotations

import functools
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.errors import MotionFileError
from mjxhuman.options import UNITS, FileOptions
from mjxhuman.runs.terminal import printable
from mjxhuman.types import Provenance

#: What the content of a file is recognised by.
_HEAD_BYTES = 1 << 16

#: Statures of adults that decide a unit, m, and of children, whom no other unit may make adults: 0.7 m is the 3rd
#: percentile at one year, when walking begins (WHO Child Growth Standards 2006).
STATURES = (1.2, 2.2)
CHILDREN = (0.7, 1.2)
#: Taller adults are so rare (1.76 m + 3 standard deviations of 0.07 m; NCD Risk Factor Collaboration 2016, Dutch men
#: 1.83 m + 2) that a child in another unit is as likely.
TALL = 1.98
#: Frame rates of motion, Hz: below are slide shows, above the fastest cameras of motion capture.
RATES = (1.0, 2000.0)

#: What a file was found to need although it or its format says otherwise: "up", "unit" or "fps" -> value and reason.
Found = dict[str, tuple[Any, str]]

#: Share of the stature that is thigh plus shank: 0.245 + 0.246 (Drillis & Contini 1966, in Winter, Biomechanics and
#: Motor Control of Human Movement, fig. 4.1).
LEG_SHARE = 0.491

# Rows are the axes of the z-up world in file coordinates. y up is turned as the SMPL rest frame is (x left, y up,
# z forward -> y left, z up, x forward), so that a body facing the file's +z faces our +x.
_UP = {
    "z": np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "y": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "-z": np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]),
    "-y": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-x": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
}

#: Rates that a frame time printed with few digits is taken for.
_COMMON_RATES = (20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 150, 180, 200, 240, 250, 300, 360, 480, 500,
                 1000)  # fmt: skip


def up_rotation(up: str) -> np.ndarray:
    """Rotation matrix (3, 3) from a file whose up axis is ``up`` (x, y, z, -x, -y, -z) to the z-up world."""
    return _UP[up]


class Source:
    """The file, what the caller said about it, and the sentences about it."""

    def __init__(
        self, path: str | os.PathLike[str], options: FileOptions = FileOptions(), found: Found | None = None
    ) -> None:
        self.path = Path(path)
        self.options = options
        self.found = found or {}
        self.sentences: list[str] = []
        self.used: dict[str, tuple[Any, str]] = {}  # "up", "unit" -> value, and who says so: caller, found, file

    def again(self, found: Found) -> Source:
        """The file to be read once more, with what was found."""
        return Source(self.path, self.options, {**self.found, **found})

    @functools.cached_property
    def head(self) -> bytes:
        """The first 64 KiB of the file.

        Raises:
            FileNotFoundError: no such file.
        """
        self.require_file()
        with self.path.open("rb") as file:
            return file.read(_HEAD_BYTES)

    def require_file(self) -> None:
        """Raise for a pipe or device, which may never end, and for links that lead only to each other.

        Raises:
            FileNotFoundError: no such file.
            MotionFileError: as above.
        """
        try:
            mode = self.path.stat().st_mode
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, RuntimeError, ValueError) as error:
            raise self.error("file", getattr(error, "strerror", None) or type(error).__name__, "a file") from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise self.error("file", "a pipe, socket or device", "a file")

    def error(self, field: str, found: object, expected: str) -> MotionFileError:
        """The error to raise about this file."""
        return MotionFileError(self.path, field, found, expected)

    def note(self, sentence: str) -> None:
        """Remember a convention, once."""
        sentence = printable(sentence)  # names from the file may stand in it
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def provenance(self, format_name: str, licence: str = "") -> Provenance:
        """Where the motion comes from, with all sentences so far."""
        return Provenance(path=str(self.path), format=format_name, licence=licence, conventions=tuple(self.sentences))

    def frame_rate(self, stated: float | None, convention: float | None = None, why: str = "") -> float:
        """Frames per second: the caller's, else the file's (``stated``), else the format's ``convention``.

        Raises:
            MotionFileError: no rate at all, or the file's is not a positive number.
        """
        given = self.options.fps
        if given is not None:
            if stated is not None and not math.isclose(stated, given, rel_tol=1e-3):
                self.note(f"frame rate {given:g} Hz as the caller says, although the file says {stated:g} Hz")
            else:
                self.note(f"frame rate {given:g} Hz as the caller says")
            return given
        if stated is not None:
            if not (math.isfinite(stated) and stated > 0):
                raise self.error("frame rate", stated, "a positive number of frames per second, or the argument fps=")
            return float(stated) if RATES[0] <= stated <= RATES[1] else self._rate_of_other(float(stated))
        if convention is not None:
            self.note(f"frame rate {convention:g} Hz: {why}")
            return convention
        raise self.error("frame rate", "none", "frames per second in the file, or the argument fps=")

    def _rate_of_other(self, stated: float) -> float:
        """The rate that was meant by one that no motion has: a rate or milliseconds where seconds per frame stand."""
        meant = {"the rate itself": 1.0 / stated, "milliseconds": 1000.0 * stated}
        fits = {
            what: min(_COMMON_RATES, key=lambda common: abs(common - rate))
            for what, rate in meant.items()
            if any(abs(common - rate) < 2e-3 * common for common in _COMMON_RATES)
        }
        if len(fits) != 1:
            either = " or ".join(f"{rate:g} Hz ({what})" for what, rate in fits.items())
            raise self.error(
                "frame rate",
                f"{stated:.4g} Hz" + (f", which may stand for {either}" if fits else ""),
                f"{RATES[0]:g} to {RATES[1]:g} Hz, or the argument fps=",
            )
        what, rate = next(iter(fits.items()))
        self.note(f"frame rate {rate:g} Hz: the file's is {stated:.4g} Hz unless its frame time is {what} (--fps)")
        return float(rate)

    def up_axis(self, stated: str | None, convention: str | None = None, why: str = "") -> np.ndarray:
        """Rotation matrix (3, 3) from the file's axes to the z-up world; precedence as in ``frame_rate``.

        Raises:
            MotionFileError: no up axis at all.
        """
        if self.options.up is not None:
            if stated is not None and stated != self.options.up:
                self.note(f"{self.options.up} is up as the caller says, although the file says {stated}")
            else:
                self.note(f"{self.options.up} is up as the caller says")
            return self._up(self.options.up, "caller")
        if "up" in self.found:
            up, reason = self.found["up"]
            self.note(f"{up} is up: {reason}")
            return self._up(up, "found")
        if stated is not None:
            return self._up(stated, "file")
        if convention is not None:
            self.note(f"{convention} is up: {why}")
            return self._up(convention, "file")
        raise self.error("up axis", "none", "the argument up= (x, y, z, -x, -y or -z)")

    def _up(self, up: str, origin: str) -> np.ndarray:
        self.used["up"] = (up, origin)
        return up_rotation(up)

    def metres_per_unit(self, stated: float | None, convention: float | None = None, why: str = "") -> float:
        """Metres per length unit of the file; precedence as in ``frame_rate``.

        Raises:
            MotionFileError: no unit at all.
        """
        if self.options.unit is not None:
            value = UNITS[self.options.unit] if isinstance(self.options.unit, str) else float(self.options.unit)
            also = "" if stated is None or math.isclose(stated, value) else f", although the file says {stated:g} m"
            self.note(f"1 length unit is {value:g} m as the caller says{also}")
            return self._unit(value, "caller")
        if "unit" in self.found:
            metres, reason = self.found["unit"]
            self.note(f"1 length unit is {metres:g} m: {reason}")
            return self._unit(metres, "found")
        if stated is not None:
            return self._unit(float(stated), "file")
        if convention is not None:
            self.note(f"1 length unit is {convention:g} m: {why}")
            return self._unit(convention, "file")
        raise self.error("length unit", "none", f"the argument unit= ({', '.join(UNITS)} or metres per unit)")

    def _unit(self, metres: float, origin: str) -> float:
        self.used["unit"] = (metres, origin)
        return metres

    def metres_by_stature(self, leg_length: float) -> float:
        """Metres per unit, chosen among ``UNITS`` so that the body is an adult of 1.2 to 2.2 m, else a child of 0.7 m.

        Args:
            leg_length: thigh plus shank in file units, None-safe only with the caller's unit.

        Raises:
            MotionFileError: no unit fits, or more than one does.
        """
        if self.options.unit is not None or "unit" in self.found:
            return self.metres_per_unit(None)
        statures = {unit: metres * leg_length / LEG_SHARE for unit, metres in UNITS.items()}
        adults = [unit for unit, stature in statures.items() if STATURES[0] <= stature <= STATURES[1]]
        children = [unit for unit, stature in statures.items() if CHILDREN[0] <= stature < CHILDREN[1]]
        # an adult of common stature is likelier than a child in a unit that happens to fit as well, a giant is not
        fitting = adults if adults and statures[adults[0]] <= TALL else adults + children
        if len(fitting) != 1:
            listed = ", ".join(f"{unit}: {stature:.3g} m" for unit, stature in statures.items())
            raise self.error(
                "length unit",
                f"statures {listed}",
                f"exactly one unit with a stature of {CHILDREN[0]} to {STATURES[1]} m, or the argument unit=",
            )
        unit = fitting[0]
        low, high = STATURES if unit in adults else CHILDREN
        why = f"of {', '.join(UNITS)} only {unit} gives a stature of {low}-{high} m ({statures[unit]:.2f} m from thigh"
        why += " and shank)"
        if unit in adults and children:
            why += f", although a child of {statures[children[0]]:.2f} m in {children[0]} has the same numbers (--unit)"
        return self.metres_per_unit(None, UNITS[unit], why)


def rate_of_frame_time(text: str) -> float:
    """Frames per second of a printed frame time: the common rate it abbreviates, else its reciprocal.

    "0.008333" and "0.0083" are 120 Hz: 1/120 is within one unit of the last printed digit.
    """
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        return math.nan
    mantissa, _, exponent = text.strip().lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    last_digit = 10.0 ** (int(exponent or 0) - digits)
    near = [rate for rate in _COMMON_RATES if abs(1.0 / rate - value) <= last_digit * 1.0001]
    return float(min(near, key=lambda rate: abs(1.0 / rate - value))) if near else 1.0 / value
