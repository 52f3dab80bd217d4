"""Score motion files: one JSON line each, resumable.

    python -m experiments.score_motion --config=configs/feasibility.py --config.inputs='mocap/**/*.bvh'

Exit code: 0 every file has a score; 1 some have none (each is named with its error on stderr, in scores.jsonl and in
run.json); 2 nothing to do or a wrong configuration; 130 interrupted (the same command continues).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags
from ml_collections import config_dict

from mjxhuman.options import ScoreOptions, record_of, spelt
from mjxhuman.runs import enable_compile_cache
from mjxhuman.scoring.files import score_files

from .launch import launch, named_motions

NOTHING_TO_DO = 2


def run(config: config_dict.ConfigDict) -> int:
    """Score what the configuration names; returns the exit code."""
    try:
        paths = named_motions(config.inputs)[: config.limit or None]
        if not paths:
            raise ValueError("inputs: expected files or patterns, found none (--config.inputs='FOLDER/**/*.bvh')")
        enable_compile_cache()
        summary = score_files(
            paths,
            config.out,
            record_of(ScoreOptions, config),
            read_ahead=config.read_ahead,
            resume=config.resume,
            quiet=config.quiet,
            form="--config.{}",
            min_total=config.min_total or None,
            workers=config.workers,
            backend=config.backend,
        )
    except (ValueError, OSError, ImportError) as error:
        print(f"score_motion: {spelt(str(error), '--config.{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    print(summary)
    return summary.exit_code


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"score_motion: unexpected arguments {argv[1:]}; name files by --config.inputs=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "feasibility")
