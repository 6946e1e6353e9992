"""The operations of `networks.py` written down as an ONNX graph; each carries what NumPy makes of one example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_jax.errors import MissingExtra
from gym_jax.inference.arrays import Arrays, Cell
from gym_jax.inference.networks import run_network
from gym_jax.inference.window import Window

OPSET, IR = 20, 9
"""What onnxruntime has read since 1.17 (February 2024)."""
OUTPUT = "forecast"


@dataclass(frozen=True, eq=False)
class Node:
    """A value of the graph, by its name; `example` has its shape."""

    graph: "Graph"
    name: str
    example: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the example; the batch is any."""
        return self.example.shape

    def __add__(self, other: Any) -> "Node":
        return self.graph.add("Add", [self, other], self.example + _value(other))

    def __sub__(self, other: Any) -> "Node":
        return self.graph.add("Sub", [self, other], self.example - _value(other))

    def __rsub__(self, other: Any) -> "Node":
        return self.graph.add("Sub", [other, self], _value(other) - self.example)

    def __mul__(self, other: Any) -> "Node":
        return self.graph.add("Mul", [self, other], self.example * _value(other))

    __array_ufunc__ = None  # an array on the left leaves the operation to this class
    __rmul__, __radd__ = __mul__, __add__

    def __truediv__(self, other: Any) -> "Node":
        return self.graph.add("Div", [self, other], self.example / _value(other))

    def __matmul__(self, other: Any) -> "Node":
        return self.graph.add("MatMul", [self, other], self.example @ _value(other))

    def __getitem__(self, index: Any) -> "Node":
        return self.graph.cut(self, index)


class Graph(Arrays):
    """Operations as nodes; what is no node becomes a constant."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.named: dict[int, str] = {}
        self.kept: list[np.ndarray] = []

    def add(
        self, kind: str, inputs: Sequence[Any], example: np.ndarray, *, unused: Sequence[str] = (), **settings: Any
    ) -> Node:
        """Return what a new node gives first; `unused` are its further outputs."""
        from onnx import helper

        name = f"{kind.lower()}_{len(self.nodes)}"
        given = [name, *(f"{name}_{word}" for word in unused)]
        self.nodes.append(helper.make_node(kind, [self._name(part) for part in inputs], given, name=name, **settings))
        return Node(self, name, np.asarray(example))

    def cut(self, x: Node, index: Any) -> Node:
        """Return a part of a value: slices, whole places and new axes, `...` in front of those of the last axes."""
        parts = index if isinstance(index, tuple) else (index,)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            wide = len(x.shape) - sum(part is not None for part in parts) + 1
            parts = (*parts[:at], *[slice(None)] * wide, *parts[at + 1 :])
        kept = [part for part in parts if part is not None]
        starts: list[int] = []
        ends: list[int] = []
        axes: list[int] = []
        for axis, part in enumerate(kept):
            chosen = part if isinstance(part, slice) else slice(part, part + 1)
            if chosen != slice(None):
                begin, end, _ = chosen.indices(x.shape[axis])
                starts, ends, axes = [*starts, begin], [*ends, end], [*axes, axis]
        out = x
        if axes:
            example = x.example[tuple(p if isinstance(p, slice) else slice(p, p + 1) for p in kept)]
            out = self.add("Slice", [x, *map(_whole, (starts, ends, axes))], example)
        if gone := [axis for axis, part in enumerate(kept) if not isinstance(part, slice)]:
            out = self.add("Squeeze", [out, _whole(gone)], np.squeeze(out.example, tuple(gone)))
        left = [part for part in parts if part is None or isinstance(part, slice)]
        if new := [axis for axis, part in enumerate(left) if part is None]:
            out = self.add("Unsqueeze", [out, _whole(new)], np.expand_dims(out.example, tuple(new)))
        return out

    def number(self, x: Any) -> Any:
        from onnx import TensorProto

        return self.add("Cast", [x], super().number(x.example), to=TensorProto.FLOAT)

    def where(self, some: Any, x: Any, y: Any) -> Any:
        above = self.add("Greater", [some, np.float32(0)], some.example > 0)
        return self.add("Where", [above, x, y], np.where(above.example, _value(x), _value(y)))

    def equal(self, x: Any, y: Any) -> Any:
        return self.number(self.add("Equal", [x, y], x.example == y.example))

    def concat(self, parts: Sequence[Any], axis: int) -> Any:
        if len(parts) == 1:
            return parts[0]
        return self.add("Concat", parts, np.concatenate([_value(part) for part in parts], axis), axis=axis)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        return self._shaped(x, (-1, *shape))

    def flat(self, x: Any) -> Any:
        return self._shaped(x, (-1, int(np.prod(x.shape[1:]))))

    def merge(self, x: Any) -> Any:
        return self._shaped(x, (-1, *x.shape[2:]))

    def apart(self, x: Any, parts: int) -> Any:
        return self._shaped(x, (-1, parts, *x.shape[1:]))

    def each(self, x: Any, times: int) -> Any:
        return self.merge(self.concat([x[:, None]] * times, 1))

    def repeat(self, x: Any, steps: int) -> Any:
        return self.concat([x[:, None]] * steps, 1)

    def transpose(self, x: Any, axes: Sequence[int]) -> Any:
        return self.add("Transpose", [x], x.example.transpose(axes), perm=list(axes))

    def pad(self, x: Any, before: int, after: int) -> Any:
        if not before and not after:
            return x
        rest = [0] * (len(x.shape) - 2)
        places = _whole([0, before, *rest, 0, after, *rest])
        return self.add("Pad", [x, places], super().pad(x.example, before, after))

    def rows(self, x: Any, places: np.ndarray) -> Any:
        return self.add("Gather", [x, _whole(places)], x.example[:, places], axis=1)

    def pick(self, x: Any, place: Any) -> Any:
        from onnx import TensorProto

        whole = self.add("Cast", [place], place.example.astype(np.int64), to=TensorProto.INT64)
        return self.add("GatherElements", [x, whole], super().pick(x.example, place.example), axis=1)

    def embed(self, table: np.ndarray, codes: Any) -> Any:
        return self.add("Gather", [table, codes], table[codes.example], axis=0)

    def sum(self, x: Any, axis: int) -> Any:
        return self.add("ReduceSum", [x, _whole([axis])], super().sum(x.example, axis), keepdims=1)

    def mean(self, x: Any, axis: int, *, keep: bool = True) -> Any:
        example = super().mean(x.example, axis, keep=keep)
        return self.add("ReduceMean", [x, _whole([axis])], example, keepdims=int(keep))

    def max(self, x: Any, axis: int) -> Any:
        return self.add("ReduceMax", [x, _whole([axis])], super().max(x.example, axis), keepdims=1)

    def sort(self, x: Any, axis: int) -> Any:
        count = _whole([x.shape[axis]])
        example = super().sort(x.example, axis)
        return self.add("TopK", [x, count], example, unused=["places"], axis=axis, largest=0, sorted=1)

    def cumsum(self, x: Any, *, reverse: bool = False) -> Any:
        axis = np.array(len(x.shape) - 1, np.int64)
        return self.add("CumSum", [x, axis], super().cumsum(x.example, reverse=reverse), reverse=int(reverse))

    def maximum(self, x: Any, y: Any) -> Any:
        return self.add("Max", [x, y], np.maximum(x.example, _value(y)))

    def minimum(self, x: Any, y: Any) -> Any:
        return self.add("Min", [x, y], np.minimum(x.example, _value(y)))

    def sqrt(self, x: Any) -> Any:
        return self.add("Sqrt", [x], super().sqrt(x.example))

    def floor(self, x: Any) -> Any:
        return self.add("Floor", [x], super().floor(x.example))

    def relu(self, x: Any) -> Any:
        return self.add("Relu", [x], super().relu(x.example))

    def gelu(self, x: Any) -> Any:
        return self.add("Gelu", [x], super().gelu(x.example), approximate="tanh")

    def softplus(self, x: Any) -> Any:
        return self.add("Softplus", [x], super().softplus(x.example))

    def softmax(self, x: Any) -> Any:
        return self.add("Softmax", [x], super().softmax(x.example), axis=-1)

    def layer_norm(self, x: Any, scale: Any, bias: Any) -> Any:
        example = super().layer_norm(x.example, scale, bias)
        return self.add("LayerNormalization", [x, scale, bias], example, axis=-1, epsilon=1e-6)

    def lstm(self, x: Any, cells: Sequence[Cell], *, last: bool) -> Any:
        """ONNX has LSTM itself: time first, the gates in the order input, output, forget, cell."""
        back = [backwards for _, backwards in cells]
        direction = "bidirectional" if len(cells) > 1 else "reverse" if back[0] else "forward"
        packed = [np.stack(parts) for parts in zip(*(_packed(*weights) for weights, _ in cells), strict=True)]
        hidden = cells[0][0][1].shape[0]
        time_first = self.transpose(x, (1, 0, 2))
        name, state = f"lstm_{len(self.nodes)}", f"lstm_{len(self.nodes)}_last"
        from onnx import helper

        inputs = [self._name(part) for part in (time_first, *packed)]
        self.nodes.append(
            helper.make_node("LSTM", inputs, [name, state], name=name, hidden_size=hidden, direction=direction)
        )
        example = super().lstm(x.example, cells, last=last)
        width = len(cells) * hidden
        if last:  # [directions, batch, hidden]
            whole = Node(self, state, np.moveaxis(example.reshape(-1, len(cells), hidden), 1, 0))
            return self._shaped(self.transpose(whole, (1, 0, 2)), (-1, width))
        every = np.transpose(example.reshape(*example.shape[:2], len(cells), hidden), (1, 2, 0, 3))
        whole = Node(self, name, every)  # [time, directions, batch, hidden]
        return self._shaped(self.transpose(whole, (2, 0, 1, 3)), (-1, example.shape[1], width))

    def _shaped(self, x: Any, shape: Sequence[int]) -> Node:
        return self.add("Reshape", [x, _whole(shape)], x.example.reshape(shape))

    def _name(self, part: Any) -> str:
        """Return the name of a node, or of a constant: one for each array."""
        if isinstance(part, Node):
            return part.name
        if id(part) not in self.named:
            name = f"constant_{len(self.constants)}"
            self.named[id(part)], self.constants[name] = name, np.asarray(part)
            self.kept.append(part)  # so that no other array gets its identity
        return self.named[id(part)]


def make_graph(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray], example: Window) -> bytes:
    """Return the network as an ONNX model that takes the parts of a window by name, any number of them at once.

    Raises MissingExtra when onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise MissingExtra(
            "a graph needs the package onnx",
            hint="weights and manifest need no package: --no-onnx",
            attempt="pip install 'gym-jax[onnx]'",
        ) from None
    graph = Graph()
    parts = {name: part for name, part in example._asdict().items() if part is not None}
    window = Window(**{name: Node(graph, name, part) for name, part in parts.items()})  # type: ignore[arg-type]
    out = run_network(graph, settings, weights, window)
    graph.nodes.append(helper.make_node("Identity", [out.name], [OUTPUT]))
    kinds = {"f": TensorProto.FLOAT, "b": TensorProto.BOOL, "i": TensorProto.INT32}

    def described(name: str, part: np.ndarray) -> Any:
        return helper.make_tensor_value_info(name, kinds[part.dtype.kind], ["batch", *part.shape[1:]])

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            settings["kind"],
            [described(name, part) for name, part in parts.items()],
            [described(OUTPUT, out.example)],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="gym_jax",
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _packed(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return W, R and B of ONNX' LSTM of one direction."""
    hidden = recurrent.shape[0]
    order = np.concatenate([np.arange(k * hidden, (k + 1) * hidden) for k in (0, 3, 1, 2)])
    own = bias[order]
    return kernel.T[order], recurrent.T[order], np.concatenate([own, np.zeros_like(own)])


def _value(part: Any) -> Any:
    return part.example if isinstance(part, Node) else part


def _whole(numbers: Any) -> np.ndarray:
    return np.asarray(numbers, np.int64)
