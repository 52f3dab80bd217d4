"""The table of clean scores is complete, ordered and read the right way round."""

import numpy as np
import pytest

from mjxhuman.rewards.score import ERROR_UNITS
from mjxhuman.rewards.validation import reference


def test_table_covers_every_score_and_rises():
    table = reference.table()
    assert table["clips"] >= 30 and table["sources"]
    assert set(table["values"]) == {"total", "kinematic", "contact", "dynamic", *ERROR_UNITS}
    for values in table["values"].values():
        assert len(values) == len(reference.PERCENTILES) and (np.diff(values) >= 0).all()


def test_percentiles_are_interpolated():
    values = reference.table()["values"]["total"]
    assert reference.percentile("total", values[4]) == pytest.approx(50, abs=1e-6)
    assert reference.percentile("total", -1.0) == 0.0 and reference.percentile("total", 2.0) == 100.0
    with pytest.raises(KeyError, match="expected one of"):
        reference.percentile("beauty", 0.5)


def test_sentences_are_for_numbers():
    assert "clean motion-capture clips" in reference.sentence(0.9)
    assert reference.sentence(float("nan")) == ""
