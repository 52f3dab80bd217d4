"""Throughput of each stage from a video file to its score: ``python -m experiments.benchmark video``.

Stages: decoding; the encoder with one process and with one per core; the whole-clip fit; the score; and the reward for
trainers on a batch of videos in memory, in which all of it overlaps. First calls (compilation, start of the encoder's
processes) are reported apart. Frames per second are of video frames.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import config_dict

import mjxhuman
from mjxhuman.data.video import Video
from mjxhuman.encoders import make_encoder
from mjxhuman.recovery.load import from_encoding
from mjxhuman.runs import describe
from mjxhuman.runs.environment import cpu_count
from mjxhuman.scoring.videos import VideoReward


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Seconds of the first call, of the fastest of the others, and what it returned."""
    times, result = [], None
    for _ in range(1 + repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:]), result


def video(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements; the keys are those of the JSON file."""
    settings = config.video
    if not settings.file:
        raise ValueError("video.file: expected a video of a person, found none (--config.video.file=FILE)")
    rows: list[dict[str, Any]] = []

    def measure(stage: str, frames: int, call: Callable[[], Any]) -> Any:
        first, best, result = timed(call, settings.repeats)
        rows.append({"stage": stage, "frames": frames, "fps": frames / best, "s": best, "first_s": first})
        print(f"{stage:32s} {frames:6d} frames {frames / best:10.1f} frames/s {best:8.3f} s   first {first:7.2f} s")
        return result

    count = sum(1 for _ in Video(settings.file))
    measure("decode", count, lambda: sum(1 for _ in Video(settings.file)))
    encoder = make_encoder(settings.encoder)
    encoding = measure(f"encode, {settings.encoder}", count, lambda: encoder.encode(Video(settings.file)))
    encoder.close()
    workers = cpu_count()
    many = make_encoder(settings.encoder, processes=workers)

    def in_parallel() -> None:
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda _: many.encode(Video(settings.file)), range(workers)))

    measure(f"encode, {workers} processes", workers * count, in_parallel)
    many.close()
    found = measure("fit", encoding.frames, lambda: from_encoding(encoding, settings.file))
    measure("score", encoding.frames, lambda: float(mjxhuman.score(found.motion).total))
    clips = _clips(config)
    reward = VideoReward(settings.encoder)
    scores = measure(
        f"reward, {len(clips)} videos", clips.shape[0] * clips.shape[1], lambda: reward(clips, settings.fps)
    )
    reward.close()
    return {
        "benchmark": "video",
        "environment": describe(),
        "config": settings.to_dict(),
        "rows": rows,
        "scored": int(scores.valid.sum()),
        "videos": len(clips),
        "size": list(clips.shape[1:]),
    }


def _clips(config: config_dict.ConfigDict) -> np.ndarray:
    """``(B, T, H, W, 3)`` uint8: a generator's batch of shifted parts of the video, shrunk."""
    settings = config.video
    images = np.stack([p.image for p in Video(settings.file, max_side=settings.side)])
    step = max(1, len(images) // settings.frames)
    starts = np.arange(settings.videos) % max(1, len(images) - step * (settings.frames - 1))
    return np.stack([images[s : s + step * settings.frames : step][: settings.frames] for s in starts])


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """The one-line summary: frames per second of each stage, seconds per video of the reward."""
    by_stage = {row["stage"].split(",")[0]: row for row in result["rows"][:2] + result["rows"][3:]}
    return {
        **{f"{stage}_fps": round(row["fps"], 1) for stage, row in by_stage.items()},
        "encode_parallel_fps": round(result["rows"][2]["fps"], 1),
        "reward_s_per_video": round(by_stage["reward"]["s"] / result["videos"], 3),
        "scored": result["scored"],
    }
