"""A ranker as an ONNX file, for runtimes that are not Python. Needs the extra ``onnx``.

Inputs are bucket ids: ``ids`` (b, categorical features) in the order that the file's metadata names, and one
input per list (b, K), filled up with 0. Outputs are ``p_<task>`` (b,). Features that are unknown when serving
are set to missing inside. All layers are dense there: ONNX has no layer of few weights, so S-Weight's zeros
are stored and multiplied, while neurons that were dropped stay dropped.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from lt4rec_core.errors import ConfigError, ServingError
from lt4rec_core.serving.ranker import Ranker

OPSET, IR_VERSION = 17, 10
LARGEST = 2**31 - 2**20
"""Bytes: a file of protocol buffers ends at two gigabytes."""


def write_onnx(ranker: Ranker, path: str | Path) -> Path:
    """Write the whole pass, from bucket ids to probabilities, as one file.

    Args:
        ranker: of any day.
        path: the file to write; one that is there is replaced.

    Returns:
        The path.

    Raises:
        ConfigError: the package ``onnx`` is not installed.
        ServingError: the embedding table is too large for one file.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError(
            "The package onnx is not installed. Install lt4rec with its extra: lt4rec[onnx]."
        ) from error
    size = 4 * ranker.front.table.numel()
    if size > LARGEST:
        raise ServingError(
            f"The embedding table has {size:,} bytes, an ONNX file ends at {LARGEST:,}. "
            "Serve from the ranker's folder, which stores only rows that were seen."
        )
    model = _Graph(ranker).model()
    onnx.checker.check_model(model)
    path = Path(path)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(model.SerializeToString())
    draft.replace(path)
    return path


class _Graph:
    """Nodes and constants, as they are added."""

    def __init__(self, ranker: Ranker) -> None:
        from onnx import TensorProto, helper

        self._ranker, self._front, self._layout = ranker, ranker.front, ranker.front.layout
        self._nodes: list[Any] = []
        self._constants: dict[str, np.ndarray] = {}
        integers, floats = TensorProto.INT32, TensorProto.FLOAT
        lists = {f.column: f.max_length for f in ranker.catalogue.features if f.kind == "list"}
        self._inputs = [helper.make_tensor_value_info("ids", integers, ["b", len(self._layout.columns)])]
        self._inputs += [helper.make_tensor_value_info(c, integers, ["b", n]) for c, n in lists.items()]
        self._outputs = [helper.make_tensor_value_info(f"p_{t}", floats, ["b"]) for t in ranker.tasks]

    def model(self) -> Any:
        """The whole pass, with what one needs to feed it in the metadata."""
        from onnx import helper, numpy_helper

        inputs = self._interact(self._embed())
        for task, layers in self._ranker.heads.items():
            h = inputs
            for layer in layers:
                weight, bias = self._constant(layer.weight), self._constant(layer.bias)
                h = self._node("Gemm", h, weight, bias, transB=1)
                h = self._node("Relu", h) if layer.relu else h
            p = self._node("Sigmoid", h)
            self._node("Reshape", p, self._constant(np.array([-1])), output=f"p_{task}")
        graph = helper.make_graph(
            self._nodes, "lt4rec", self._inputs, self._outputs,
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lt4rec"
        )
        model.ir_version = IR_VERSION
        identity = self._ranker.manifest["identity"]
        told = {
            "day": identity["day"],
            "model": identity["model"],
            "catalogue": identity["settings"]["catalogue"],
            "ids": list(self._layout.columns),
            "lists": list(self._layout.lists),
            "features": identity["features"],
        }
        helper.set_model_props(
            model,
            {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in told.items()},
        )
        return model

    def _embed(self) -> str:
        """Field vectors (b, f, d): categorical fields, then lists as means."""
        layout = self._layout
        table = self._constant(self._front.table.detach().numpy())
        known = np.ones(len(layout.columns), dtype=np.int32)
        known[list(layout.unknown_columns)] = 0
        ids = self._node("Mul", "ids", self._constant(known))
        rows = self._node("Add", ids, self._constant(layout.offsets.numpy().astype(np.int32)))
        fields = [self._node("Gather", table, rows)]
        for name, offset in layout.list_offsets.items():
            kept = np.int32(0 if name in layout.unknown_lists else 1)
            listed = self._node("Mul", name, self._constant(np.array([kept])))
            is_one = self._node(
                "Cast", self._node("Cast", listed, to=9), to=1
            )  # 0 is padding: bool, then float
            weights = self._node("Unsqueeze", is_one, self._constant(np.array([-1])))
            vectors = self._node(
                "Gather", table, self._node("Add", listed, self._constant(np.array([offset], np.int32)))
            )
            axis = self._constant(np.array([1]))
            total = self._node("ReduceSum", self._node("Mul", vectors, weights), axis)
            count = self._node(
                "Max", self._node("ReduceSum", weights, axis), self._constant(np.array([1], np.float32))
            )
            fields.append(self._node("Div", total, count))
        return self._node("Concat", *fields, axis=1)

    def _interact(self, fields: str) -> str:
        """The trunk's input (b, d_in)."""
        f, d = self._layout.n_fields, self._front.config.embedding_dim
        flat = self._node("Reshape", fields, self._constant(np.array([-1, f * d])))
        left, right = (pairs.numpy() for pairs in self._front.pairs())
        kind = self._front.config.interaction
        if kind == "dot":
            products = self._node("MatMul", fields, self._node("Transpose", fields, perm=[0, 2, 1]))
            square = self._node("Reshape", products, self._constant(np.array([-1, f * f])))
            met = self._node("Gather", square, self._constant(left * f + right), axis=1)
        elif kind == "user_video":
            both = [self._node("Gather", fields, self._constant(pairs), axis=1) for pairs in (left, right)]
            met = self._node(
                "Reshape", self._node("Mul", *both), self._constant(np.array([-1, len(left) * d]))
            )
        else:
            return flat
        return self._node("Concat", flat, met, axis=1)

    def _constant(self, value: np.ndarray) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = np.ascontiguousarray(value)
        return name

    def _node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output
