"""Human preferences are read in the layouts they are published in; motions come out upright and in their own order."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from experiments import human_agreement
from mjxhuman.rewards.validation.agreement import judgements


def standing(height=0.9, frames=60, lift=0.0):
    """A T-pose (T, 25, 3) in MotionPercept's packed layout: y up."""
    values = np.zeros((frames, 25, 3))
    values[:, 24, 1] = height + np.linspace(0, lift, frames)
    return values


def mdm(values):
    """The same as MDM writes it: (1, 25, 6, T)."""
    rows = Rotation.from_rotvec(values[:, :24].reshape(-1, 3)).as_matrix()[:, :2].reshape(len(values), 24, 6)
    place = np.concatenate([values[:, 24:], np.zeros((len(values), 1, 3))], -1)
    return np.moveaxis(np.concatenate([rows, place], 1), 0, -1)[None].astype(np.float32)


def test_motions_are_upright_on_the_floor_and_judged():
    still, rising = (human_agreement._from_pair(standing(lift=x), "pair")() for x in (0.0, 1.0))
    assert still.fps == pytest.approx(20.0) and still.num_frames == 60
    head, pelvis = (still.humanoid.body_names.index(n) for n in ("Head", "Pelvis"))
    assert still.body_pos[0, head, 2] > still.body_pos[0, pelvis, 2] + 0.3
    assert np.ptp(np.asarray(rising.qpos)[:, 2]) == pytest.approx(1.0, abs=1e-3)
    numbers = judgements(still)
    assert numbers["total"] > judgements(rising)["total"] + 0.2
    assert {"phymotion", "jitter", "foot_skate", "contact"} <= set(numbers)
    with pytest.raises(ValueError, match=r"pair 3: expected finite numbers of shape \(T, 25, 3\)"):
        human_agreement._from_pair(np.zeros((60, 24, 3)), "pair 3")


def test_packed_pairs_are_kept_apart(tmp_path):
    torch = pytest.importorskip("torch")
    good, bad = standing(), standing(lift=1.0)
    torch.save([{"motion_better": torch.tensor(good), "motion_worse": torch.tensor(bad)}], tmp_path / "pairs.pth")
    [(preference, better, worse)] = human_agreement.pairs_of(tmp_path / "pairs.pth", "", "best")
    assert preference.better != preference.worse
    assert np.ptp(np.asarray(better().qpos)[:, 2]) < 1e-6 < np.ptp(np.asarray(worse().qpos)[:, 2])


@pytest.mark.parametrize("picked", ["best", "worst"])
def test_annotations_pick_one_of_four(tmp_path, picked):
    motions = [mdm(standing(lift=x)) for x in (0.0, 0.2, 0.4, 0.6)]
    np.savez(tmp_path / "clip.npz", np.array({"prompt": ["walk"] * 4, "motion": motions}, object))
    events = [{"event": "valid", "properties": {"Whether natural or not": "B"}}]
    lines = [{"filePath": "x/clip-ABCD.mp4", "events": events}, {"filePath": "other-ABCD.mp4", "events": []}]
    (tmp_path / "annotation.json").write_text(json.dumps(lines))
    pairs = list(human_agreement.pairs_of(tmp_path / "annotation.json", str(tmp_path), picked))
    picks = [(p.better[-1], p.worse[-1]) for p, _, _ in pairs]
    assert picks == ([("B", x) for x in "ACD"] if picked == "best" else [(x, "B") for x in "ACD"])
    chosen = pairs[0][1 if picked == "best" else 2]()
    assert np.ptp(np.asarray(chosen.qpos)[:, 2]) == pytest.approx(0.2, abs=1e-3)


def test_nothing_but_arrays_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("opened",)

    np.savez(tmp_path / "clip.npz", np.array({"motion": [Trap()] * 4}, object))
    (tmp_path / "a.json").write_text(json.dumps({"clip": "A"}))
    with pytest.raises(ValueError, match=r"clip.npz: .*builtins.print"):
        list(human_agreement.pairs_of(tmp_path / "a.json", str(tmp_path), "best"))


def test_a_list_names_files_and_what_is_wrong_with_it(tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"better": "a.bvh", "worse": "b.mp4", "group": "walk"}\n')
    [(preference, _, _)] = human_agreement.pairs_of(tmp_path / "pairs.jsonl", "", "best")
    assert (preference.better, preference.worse, preference.group) == ("a.bvh", "b.mp4", "walk")
    (tmp_path / "pairs.jsonl").write_text('{"better": "a.bvh"}\n')
    with pytest.raises(ValueError, match="line 1: expected better and worse"):
        list(human_agreement.pairs_of(tmp_path / "pairs.jsonl", "", "best"))
    with pytest.raises(ValueError, match="--motions=FOLDER"):
        human_agreement.pairs_of(tmp_path / "a.json", "", "best")
    with pytest.raises(ValueError, match=r"expected .jsonl, .pth or .json"):
        human_agreement.pairs_of(tmp_path / "a.txt", "", "best")
