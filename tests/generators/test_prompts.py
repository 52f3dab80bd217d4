"""Lists of prompts and the sampler of groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mjxhuman.generators.prompts import PromptSampler, load_prompts


def test_a_list_is_read_a_prompt_a_line(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("# walks\na person  walks \n\na person jumps\n", encoding="utf-8")
    assert load_prompts(file) == ("a person walks", "a person jumps")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected prompts, one a line, found none"),
        ("a\nb\na \n", "line 3: expected each prompt once, found 'a' of line 1"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path, text, message):
    (tmp_path / "prompts.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_prompts(tmp_path / "prompts.txt")


@pytest.mark.parametrize(("count", "groups"), [(10, 4), (16, 16), (7, 3), (5, 5), (9, 8), (100, 1)])
def test_an_epoch_of_n_groups_has_n_prompts_and_none_comes_back_too_early(count, groups):
    """T1: distinct prompts in each epoch, and each round uses up all of them."""
    sampler = PromptSampler(count, groups, seed=3)
    epochs = [sampler.epoch(i) for i in range(2 * count)]
    assert all(len(set(epoch.tolist())) == groups for epoch in epochs)
    drawn = list(itertools.chain.from_iterable(epoch.tolist() for epoch in epochs))
    for start in range(0, len(drawn) - count + 1, count):
        assert sorted(drawn[start : start + count]) == list(range(count))
    assert drawn[:count] != drawn[count : 2 * count] or count < 3
    np.testing.assert_array_equal(PromptSampler(count, groups, seed=3).epoch(5), epochs[5])  # resumed


def test_fewer_prompts_than_groups_repeat_evenly():
    found = PromptSampler(3, 7).epoch(2)
    assert len(found) == 7 and max(np.bincount(found)) - min(np.bincount(found)) <= 1


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="expected one or more"):
        PromptSampler(0, 2)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "prompts.txt").write_bytes(b"a walk\n\xff\xfe")
    with pytest.raises(ValueError, match=r"prompts.txt: expected text in UTF-8, found others at byte 7"):
        load_prompts(tmp_path / "prompts.txt")
