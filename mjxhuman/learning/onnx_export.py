"""A policy as an ONNX graph, for programs that have neither Python nor JAX.

The graph is small and built by hand: normaliser, dense layers, activation. Input ``obs`` ``(n, m)`` and output
``action`` ``(n, k)``, float32, any n; what the numbers mean is in the model's metadata, under ``about``, as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mjxhuman.learning.normalization import EPSILON
from mjxhuman.learning.policy import Policy
from mjxhuman.runs import atomic_write, optional
from mjxhuman.version import __version__

if TYPE_CHECKING:
    import onnx

#: Operator set and file version that ONNX Runtime reads since 1.14 (2023).
OPSET, IR_VERSION = 17, 8


class _Graph:
    """Nodes and constants, each node fed by the last one's output."""

    def __init__(self, first: str) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = first

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(self, kind: str, *others: str, output: str = "", **attributes: Any) -> None:
        from onnx import helper

        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *others], [output], **attributes))
        self.last = output


def onnx_model(policy: Policy, about: Mapping[str, Any] | None = None) -> onnx.ModelProto:
    """The graph of a policy's mean action, clipped to [-1, 1] as environments do.

    Args:
        policy: what to export.
        about: JSON-ready facts for the model's metadata, such as those of ``load_policy``.

    Raises:
        ModuleNotFoundError: the extra "onnx" is not installed; the message says how to.
    """
    onnx = optional("onnx", "onnx", "ONNX export")
    helper = onnx.helper
    n_in, n_out = policy.networks.observation[0], policy.networks.action_size
    graph = _Graph("obs")
    graph.add("Sub", graph.constant("mean", policy.statistics.mean))
    variance = np.asarray(policy.statistics.var, np.float64)
    graph.add("Mul", graph.constant("inverse_deviation", 1.0 / np.sqrt(variance + EPSILON)))
    graph.add("Clip", graph.constant("obs_low", -policy.clip), graph.constant("obs_high", policy.clip))
    actor = policy.params["actor"]
    for name in (*(f"hidden_{i}" for i in range(len(policy.networks.actor_hidden))), "out"):
        layer = actor[name]
        graph.add("Gemm", *(graph.constant(f"{name}/{k}", layer[k]) for k in ("kernel", "bias")))
        if name != "out":
            _activate(graph, policy.networks.activation)
    graph.add("Clip", graph.constant("low", -1.0), graph.constant("high", 1.0), output="action")

    def value(name: str, size: int) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])

    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", [value("obs", n_in)], [value("action", n_out)], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mjxhuman",
        producer_version=__version__,
    )
    helper.set_model_props(model, {"about": json.dumps(dict(about or {}))})
    onnx.checker.check_model(model)
    return model


def _activate(graph: _Graph, name: str) -> None:
    if name == "silu":
        x = graph.last
        graph.add("Sigmoid")
        graph.add("Mul", x)
    else:
        graph.add({"relu": "Relu", "elu": "Elu", "tanh": "Tanh"}[name])


def export_onnx(path: str | os.PathLike[str], policy: Policy, about: Mapping[str, Any] | None = None) -> Path:
    """Write ``onnx_model`` to a file.

    Raises:
        ModuleNotFoundError: the extra "onnx" is not installed.
    """
    content = onnx_model(policy, about).SerializeToString()
    with atomic_write(path, "wb") as file:
        file.write(content)
    return Path(path)
