import numpy as np
import pytest

from experiments import measure_stability
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.stability import stability


def test_a_row_has_what_explains_a_verdict(capsys):
    scene = make_furniture("stool", 104, "short_leg:0.9")
    row = measure_stability.row_of(scene, stability(scene, drops=4), "stool", "short_leg")
    height, margin = float(scene.objects[0].com[2]), row["margin_m"]
    assert row["barrier_mm"] == pytest.approx(1e3 * (np.hypot(margin, height) - height))
    assert 0.5 < row["start_mm"] < 10.0  # 1 mm above the floor, and a tilted tripod
    measure_stability.print_others([row])
    assert "stool:104:short_leg:0.9" in capsys.readouterr().out


def test_agreement_counts_signs():
    rows = [{"strict": s, "margin_m": m} for s, m in ((True, 0.1), (False, -0.1), (False, 0.1), (True, -0.1))]
    assert measure_stability.share_of(rows) == 0.5
    assert np.isnan(measure_stability.share_of([]))
