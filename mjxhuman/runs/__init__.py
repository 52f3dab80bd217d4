"""What every run needs and no motion is part of: safe files, progress, compilation cache, the machine described."""

from mjxhuman.runs.compile_cache import enable_compile_cache
from mjxhuman.runs.environment import describe
from mjxhuman.runs.extras import optional
from mjxhuman.runs.files import JsonLines, atomic_write, json_line, read_json_lines
from mjxhuman.runs.inputs import expand_inputs
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.runs.progress import busy, compiling, progress

__all__ = [
    "JsonLines",
    "atomic_write",
    "busy",
    "compiling",
    "describe",
    "enable_compile_cache",
    "expand_inputs",
    "json_line",
    "optional",
    "prepare_jax",
    "progress",
    "read_json_lines",
]
