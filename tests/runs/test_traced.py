from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.math import rotation
from mjxhuman.runs import traced
from mjxhuman.runs.traced import TracedProgram, traces_kept

P, Q = np.array([0.6, 0.8, 0, 0], np.float32), np.array([0, 0, 1, 0], np.float32)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    with traces_kept():
        yield tmp_path / "traced"


class Product(TracedProgram):
    """A program that counts how often it is traced, as a new process would have it."""

    def __init__(self, identity=(rotation.multiply,)):
        self.traced = 0

        def product(power, pair):
            self.traced += 1
            return {"product": rotation.multiply(pair[0], pair[1]) ** power, "none": None}

        super().__init__(product, 1, {}, identity)


def test_a_later_process_traces_nothing_and_finds_the_same(folder):
    first, later = Product(), Product()
    found, again = first(2, (P, Q)), later(2, (P, Q))
    assert (first.traced, later.traced) == (1, 0)
    assert again["none"] is None
    np.testing.assert_array_equal(found["product"], again["product"])
    np.testing.assert_allclose(again["product"], [0, 0, 0.36, 0.64], atol=1e-6)


def test_what_decides_a_program_has_a_trace_of_its_own(folder, monkeypatch):
    Product()(2, (P, Q))
    for static, pair in ((3, (P, Q)), (2, (P[None], Q[None])), (2, [P, Q])):
        other = Product()
        other(static, pair)
        assert other.traced == 1
    monkeypatch.setattr(traced, "_source", lambda: "another version of the package")
    other = Product()
    other(2, (P, Q))
    assert other.traced == 1
    assert len(list(folder.iterdir())) == 5


def test_a_damaged_trace_is_made_again(folder):
    Product()(2, (P, Q))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:200], whole[:-1] + b"?"):
        path.write_bytes(damaged)
        again = Product()
        again(2, (P, Q))
        assert again.traced == 1
        assert len(path.read_bytes()) > 200


def test_code_from_outside_the_package_is_not_kept(folder):
    own = Product(identity=(Product,))
    np.testing.assert_allclose(own(1, (P, Q))["product"], [0, 0, 0.6, 0.8], atol=1e-6)
    assert not folder.exists()


def test_nothing_is_kept_outside(folder, monkeypatch):
    monkeypatch.setattr(traced, "_folder", None)
    Product()(1, (P, Q))
    assert not folder.exists()


def test_the_last_used_are_kept(folder, monkeypatch):
    monkeypatch.setattr(traced, "MOST", 2)
    for power in (1, 2, 3):
        Product()(power, (P, Q))
    assert len(list(folder.iterdir())) == 2
