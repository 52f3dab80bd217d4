"""Where the numbers of a run go: a JSON-lines file always, TensorBoard by default, Weights & Biases if asked."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mjxhuman.runs.files import JsonLines, atomic_write, json_line, read_json_lines

FILE = "metrics.jsonl"


class MetricsWriter:
    """Writes one record of scalars per step to every place.

    A run that continues at an earlier step than it once reached cuts the records after that step off, so that the
    file is what an uninterrupted run would have written.

    Args:
        folder: of the run; gets ``metrics.jsonl`` and, with TensorBoard, ``tensorboard/``.
        step: the last step whose records are kept.
        tensorboard: write event files too.
        wandb: project of Weights & Biases to log to; empty for none.
        config: what W&B shows as the run's configuration.

    Raises:
        ImportError: ``wandb`` is asked for and not installed.
        ValueError: ``metrics.jsonl`` holds lines that are no records.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        step: int = 0,
        tensorboard: bool = True,
        wandb: str = "",
        config: Mapping[str, Any] | None = None,
    ):
        self.folder = Path(folder)
        self.path = self.folder / FILE
        self._wandb = _open_wandb(self.folder, wandb, config) if wandb else None
        _keep_until(self.path, step)
        self._lines = JsonLines(self.path)
        self._events = None
        if tensorboard:
            from tensorboardX import SummaryWriter

            self._events = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Write scalars under a step; they are on disk (JSON lines) when this returns."""
        values = {name: float(value) for name, value in metrics.items()}
        self._lines.append({"step": step, **values})
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        if self._events is not None:
            for name, value in finite.items():
                self._events.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(finite, step=step)

    def close(self) -> None:
        """Flush and close everything."""
        self._lines.close()
        if self._events is not None:
            self._events.close()
        if self._wandb is not None:
            self._wandb.finish()

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _keep_until(path: Path, step: int) -> None:
    """Cut off the records of later steps."""
    records = list(read_json_lines(path))
    kept = [record for record in records if record.get("step", 0) <= step]
    if len(kept) < len(records):
        with atomic_write(path) as file:
            file.writelines(json_line(record) + "\n" for record in kept)


def _open_wandb(folder: Path, project: str, config: Mapping[str, Any] | None) -> Any:
    try:
        import wandb
    except ImportError:
        raise ImportError(
            f"metrics: logging to the Weights & Biases project {project!r} needs `pip install wandb`"
        ) from None
    return wandb.init(project=project, dir=str(folder), name=folder.name, id=folder.name, resume="allow", config=config)
