"""An ONNX file from anywhere, looked at before anything of it runs. Imports no torch.

ONNX is a program of tensors: it opens no files of its own, but its weights may lie in files that it
names, its operators may be somebody's own, and it may loop without end. A file is taken only where
all of it is in itself, made of standard operators, and of a size that its own bytes bear out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from geoseg.errors import ModelError

if TYPE_CHECKING:
    from types import ModuleType

SUFFIX = ".onnx"
MOST_BYTES = 2_000_000_000
"""Bound on the file; the format itself ends a little above."""
_MOST_VALUES = 1 << 31
_MOST_NODES = 1_000_000
_STANDARD = frozenset(("", "ai.onnx"))
_ENDLESS = frozenset(("Loop", "Scan"))
_INSTALL = "pip install 'geoseg[onnx]'"


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """An ONNX model with one image as its input, as it lies on disk."""

    content: bytes
    """All of it."""
    hash: str
    """BLAKE2b (16 bytes, hexadecimal) of it."""
    metadata: Mapping[str, str]
    """Texts by key."""
    input: str
    """Name of the input."""
    dtype: str
    """Type of the input's numbers: "float32", "float16", "float64", "uint8", …"""
    shape: tuple[int | None, int | None, int | None, int | None]
    """(batch, bands, rows, columns) of the input; None where it may be anything."""
    output: str
    """Name of the first output."""
    channels: int | None
    """Channels of that output, where the file says so."""
    parameters: int
    """Numbers among the weights."""


def library(name: str, path: str | Path) -> ModuleType:
    """Import onnx or onnxruntime, for a file.

    Raises
    ------
    ModelError
        It is not installed; the message says how to get it.
    """
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(f"{path} needs {name}, which is not installed: {_INSTALL}") from error


def read_onnx(path: str | Path) -> OnnxFile:
    """Read an ONNX file and check it; nothing in it runs, and no other file is opened.

    Raises
    ------
    ModelError
        It is missing, damaged, too large, no model of one image, names other files for its
        weights, has operators of its own or loops, or holds weights that are not numbers or not of
        the size that it says.
    """
    content = _bytes(Path(path))
    onnx = library("onnx", path)
    decode_error = library("google.protobuf.message", path).DecodeError  # comes with onnx
    try:
        model = onnx.ModelProto.FromString(content)
    except (decode_error, RecursionError, RuntimeError) as error:
        raise ModelError(f"{path} is no ONNX file, or damaged or truncated") from error
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path} is no ONNX file, or an empty one")
    check = _Check(onnx, path)
    check.whole(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or not model.graph.output:
        check.fail(f"it has {len(inputs)} inputs, not one image")
    dtype, shape = check.image(inputs[0], "input")
    _, made = check.image(model.graph.output[0], "output", known=False)
    return OnnxFile(
        content=content,
        hash=blake2b(content, digest_size=16).hexdigest(),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        input=inputs[0].name,
        dtype=dtype,
        shape=(shape[0], shape[1], shape[2], shape[3]),
        output=model.graph.output[0].name,
        channels=made[1],
        parameters=sum(math.prod(tensor.dims) for tensor in model.graph.initializer),
    )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size > MOST_BYTES:
                raise ModelError(f"{path} has {size} bytes, more than an ONNX file can hold")
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise ModelError(f"model {path} is not there") from error
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror or error}") from error


class _Check:
    """Looks at a model that has been parsed, and refuses it in one line."""

    def __init__(self, onnx: ModuleType, path: str | Path) -> None:
        self._onnx, self._path = onnx, path

    def fail(self, reason: str) -> NoReturn:
        raise ModelError(f"{self._path} cannot be used: {reason}")

    def whole(self, model: Any) -> None:
        """Check every graph, function, node and tensor."""
        own = {(f.domain, f.name): f for f in model.functions}
        self._unfolded(model, own)
        nodes = [node for function in model.functions for node in function.node]
        for graph in self._graphs(model.graph, nodes):
            for tensor in graph.initializer:
                self._tensor(tensor)
            if graph.sparse_initializer:
                self.fail("it holds sparse weights, which geoseg does not read")
        for node in self._nodes(model.graph, nodes):
            if node.domain not in _STANDARD and (node.domain, node.op_type) not in own:
                self.fail(
                    f"its operator {node.domain}.{node.op_type} is none of ONNX's own; export the"
                    " model with standard operators"
                )
            if node.op_type in _ENDLESS:
                self.fail(f"it holds a loop ({node.op_type}), which may never end")
            for attribute in node.attribute:
                for tensor in (attribute.t, *attribute.tensors):
                    if tensor.data_type:
                        self._tensor(tensor)
        self._sizes(model)

    def _unfolded(self, model: Any, own: Mapping[tuple[str, str], Any]) -> None:
        """Refuse functions that call themselves, or unfold to absurdly many operators."""
        calls = {
            key: Counter(
                (node.domain, node.op_type)
                for node in self._nodes_of(function.node)
                if (node.domain, node.op_type) in own
            )
            for key, function in own.items()
        }
        try:
            order = list(TopologicalSorter(calls).static_order())
        except CycleError:
            self.fail("it holds a function that calls itself, which may never end")
        sizes: dict[tuple[str, str], int] = {}
        for key in order:
            inner = sum(count * sizes[called] for called, count in calls[key].items())
            sizes[key] = len(own[key].node) + inner
        nodes = self._nodes_of(model.graph.node)
        if sum(sizes.get((node.domain, node.op_type), 1) for node in nodes) > _MOST_NODES:
            self.fail(f"its functions unfold to more than {_MOST_NODES} operators")

    def _nodes_of(self, nodes: Iterable[Any]) -> Iterator[Any]:
        """All nodes, those of graphs inside of nodes with them."""
        for node in nodes:
            yield node
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    yield from self._nodes_of(inner.node)

    def _graphs(self, graph: Any, nodes: list[Any]) -> Iterator[Any]:
        yield graph
        for node in [*graph.node, *nodes]:
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    if inner.node or inner.initializer:
                        yield from self._graphs(inner, [])

    def _nodes(self, graph: Any, nodes: list[Any]) -> Iterator[Any]:
        yield from nodes
        for inner in self._graphs(graph, nodes):
            yield from inner.node

    def _tensor(self, tensor: Any) -> None:
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL or tensor.external_data:
            self.fail(
                f"weights {tensor.name!r} lie in another file; save the model with all of its"
                " weights in one"
            )
        try:
            kind = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except (KeyError, ValueError, TypeError):
            self.fail(f"weights {tensor.name!r} are of a type that geoseg does not read")
        count = math.prod(tensor.dims) if all(d >= 0 for d in tensor.dims) else -1
        size = len(tensor.raw_data)
        held = size // kind.itemsize if tensor.HasField("raw_data") else _listed(tensor)
        if count != held and not (count == 0 and held == 0):
            self.fail(
                f"weights {tensor.name!r} are said to be {count} numbers, and {held} are there"
            )
        if kind.kind == "f" and count:
            values = self._onnx.numpy_helper.to_array(tensor)
            # Masks of attention are infinite on purpose, in single numbers and constants.
            if values.size > 1 and tensor.name and not bool(np.isfinite(values).all()):
                self.fail(f"weights in {tensor.name!r} are NaN or infinite")

    def _sizes(self, model: Any) -> None:
        """Refuse results that are absurdly large whatever the image is."""
        try:
            known = self._onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception:  # whatever it trips over, running the model says in its own words
            return
        for value in (*known.graph.value_info, *known.graph.output):
            dims = value.type.tensor_type.shape.dim
            if math.prod(max(d.dim_value, 1) for d in dims) > _MOST_VALUES:
                self.fail(f"its result {value.name!r} is larger than any tile's could be")

    def image(
        self, value: Any, what: str, *, known: bool = True
    ) -> tuple[str, tuple[int | None, ...]]:
        """Return the type and four sizes of an input or output."""
        tensor = value.type.tensor_type
        dims = [d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim]
        if not known and not tensor.HasField("shape"):
            dims = [None] * 4
        if len(dims) != 4:
            self.fail(f"its {what} has {len(dims)} axes, not batch, channels, rows, columns")
        try:
            kind = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        except (KeyError, ValueError, TypeError):
            self.fail(f"its {what} is of a type that geoseg does not read")
        return str(kind.name), tuple(dims)


def _listed(tensor: Any) -> int:
    """Count the numbers of a tensor that are not given as bytes."""
    names = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
    found = max(len(getattr(tensor, name)) for name in names)
    return found // 2 if tensor.data_type in (14, 15) else found  # complex: two a number
