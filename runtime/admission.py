"""What an ONNX file from a stranger may hold, looked at before onnxruntime sees a byte of it.

onnxruntime trusts its models: a file may name other files whose content becomes weights, loop for
ever, ask for more memory than there is, or end the process by a division by zero inside a kernel.
What a separator needs is little, and everything else is refused in a line:

- all in one file: no external data, no functions, no training graphs
- plain tensors of numbers whose declared sizes fit the bytes that are there
- operators of the standard set that compute tensors from tensors (`operators`): none is random,
  a custom or a vendor's one, and none holds a graph of its own (Loop, Scan, If)
- shapes that do not depend on what is heard
- sizes of kernels, strides and groups from 1 on

By these each hop of a stream takes the same work and memory, which a first one can be tried for:
`ort` limits its memory and its time.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Callable, Mapping
from math import prod

from .errors import BundleError
from .operators import OPERATORS, SHAPE_INPUTS, SHAPE_READERS
from .protobuf import Reader, Value, WireError, integer, integers, view

MAX_FILE_BYTES = 1 << 30
"""Half of what Protocol Buffers can hold; a bundle of 250 million float32 weights."""
MAX_METADATA_BYTES = 1 << 26
"""All metadata texts together; 2,000 phrases and a conditioner take 4 MB."""
MAX_NODES = 10_000
"""With twice as many, onnxruntime may take 8 s to arrange them."""
MAX_FIELDS = 2_000_000
"""Records, texts and numbers in a file, packed numbers aside: 2 s of reading."""
MAX_ELEMENTS = 1 << 28
"""Of one tensor: 1 GiB of float32."""
MAX_STATE = 1 << 24
"""Numbers of recurrent state a channel: 64 MiB of float32."""
MAX_CONDITIONING = 1 << 20
"""Numbers that a query becomes."""
MAX_RANK = 8
MAX_TEXT_BYTES = 1 << 10
"""A name inside the graph."""
OLDEST_OPSET = 17

_LARGEST_SIZE = 1 << 16
_SIZES = {  # attributes that count something, from 1 to _LARGEST_SIZE
    "blocksize",
    "dilations",
    "group",
    "hidden_size",
    "kernel_shape",
    "num_groups",
    "num_outputs",
    "strides",
}

# Of TensorProto.DataType: no texts, no complex numbers, nothing undefined.
_NUMBERS = {*range(1, 8), *range(9, 14), 16, 21, 22}


def admit(model: memoryview) -> None:
    """Raise `BundleError` unless `model` is an ONNX file that may be handed to onnxruntime."""
    check_file_size(len(model))
    try:
        _Inspection().model(model)
    except (WireError, UnicodeDecodeError) as error:
        raise BundleError(f"no ONNX model, or a damaged one ({error})") from error


def check_file_size(size: int) -> None:
    """Raise `BundleError` for a file of more bytes than are read."""
    _check(size <= MAX_FILE_BYTES, f"{size} bytes, at most {MAX_FILE_BYTES} are read")


class _Inspection(Reader):
    """One look over one file; a method for each kind of record in it."""

    def __init__(self) -> None:
        super().__init__(MAX_FIELDS)
        self._metadata_bytes = 0
        # Names of values: those there are so far, and those that depend on the graph's inputs.
        self._known = {""}  # the name of an input left out
        self._heard: set[str] = set()

    def model(self, model: memoryview) -> None:
        graphs = self._each(
            model,
            {
                7: self._graph,
                8: self._opset,
                14: self._metadata,
                20: _refuse("the model carries a training graph"),
                25: _refuse("the model defines functions of its own"),
            },
        )[7]
        # Protocol Buffers would merge several graphs into one.
        _check(graphs == 1, f"the model has {graphs} graphs instead of one")

    def _each(self, message: memoryview, readers: "Mapping[int, _Method]") -> dict[int, int]:
        """Hand each field to its method, others to none; how many there were of each."""
        counts = dict.fromkeys(readers, 0)
        for number, value in self.fields(message):
            if number in readers:
                readers[number](value)
                counts[number] += 1
        return counts

    def _graph(self, value: Value) -> None:
        nodes: list[Value] = []
        weights: list[str] = []
        inputs: list[str] = []
        self._each(
            view(value),
            {
                1: nodes.append,
                5: lambda tensor: weights.append(self._tensor(tensor)),
                11: lambda info: inputs.append(self._info(info)),
                12: self._info,
                13: self._info,
                15: _refuse("the graph has sparse weights"),
            },
        )
        _check(len(nodes) <= MAX_NODES, f"{len(nodes)} nodes, at most {MAX_NODES} are taken")
        self._known.update(weights, inputs)
        self._heard.update(inputs)
        for node in nodes:
            self._node(node)

    def _opset(self, value: Value) -> None:
        domain, version = "", 0
        for number, part in self.fields(view(value)):
            if number == 1:
                domain = _text(part)
            elif number == 2:
                version = integer(part)
        _check(domain in _DOMAINS, f"the graph needs the operators of {domain!r:.60}")
        _check(version >= OLDEST_OPSET, f"opset {version} is older than {OLDEST_OPSET}")

    def _metadata(self, value: Value) -> None:
        entry = view(value)
        self._metadata_bytes += len(entry)
        found, most = self._metadata_bytes, MAX_METADATA_BYTES
        _check(found <= most, f"{found} bytes of metadata, at most {most} are read")
        for _, part in self.fields(entry):
            str(view(part), "utf-8")

    def _node(self, value: Value) -> None:
        inputs: list[str] = []
        outputs: list[str] = []
        operator = domain = ""
        for number, part in self.fields(view(value)):
            if number == 1:
                inputs.append(_text(part))
            elif number == 2:
                outputs.append(_text(part))
            elif number == 4:
                operator = _text(part)
            elif number == 5:
                self._attribute(part)
            elif number == 7:
                domain = _text(part)
        whole = operator if domain in _DOMAINS else f"{domain}.{operator}"
        _check(whole in OPERATORS, f"the graph uses the operator {whole!r:.60}, as no bundle may")
        _check(self._known.issuperset(inputs), "the graph's nodes are not in order")
        shapes = {inputs[at] for at in SHAPE_INPUTS.get(operator, ()) if at < len(inputs)}
        _check(
            self._heard.isdisjoint(shapes),
            f"the size of what {operator} makes depends on what is heard",
        )
        self._known.update(outputs)
        if operator not in SHAPE_READERS and not self._heard.isdisjoint(inputs):
            self._heard.update(outputs)

    def _attribute(self, value: Value) -> None:
        name, numbers, tensors = "", [], 0
        for number, part in self.fields(view(value)):
            if number == 1:
                name = _text(part)
            elif number in (3, 8):
                numbers.append(part)
            elif number == 5:
                tensors += 1
                self._tensor(part)
            elif number in (6, 11):
                _check(False, "a node holds a graph of its own, a loop or a branch")
            elif number in (10, 14, 15, 21, 22, 23):
                _check(False, f"a node's {name!r:.60} is neither numbers, a text nor a tensor")
        _check(tensors <= 1, f"a node's {name!r:.60} is several tensors")
        if name in _SIZES:
            sizes = [size for part in numbers for size in _few(part)]
            wrong = [size for size in sizes if not 1 <= size <= _LARGEST_SIZE]
            _check(not wrong, f"a node's {name} is {wrong[:1]}, expected 1 to {_LARGEST_SIZE}")

    def _tensor(self, value: Value) -> str:
        """Weights, with the numbers in them; their name."""
        tensor = view(value)
        dims: list[int] = []
        kind, name = 0, ""
        for number, part in self.fields(tensor):
            if number == 1:
                dims += _few(part)
            elif number == 2:
                kind = integer(part)
            elif number == 8:
                name = _text(part)
            elif number == 13 or (number == 14 and part != 0):
                _check(False, "its weights lie in another file, which is not opened")
        _check_shape("weights", dims, kind)
        # Two numbers of four bits share a byte, others take one or more each.
        _check(
            prod(dims) <= 2 * len(tensor),
            f"{prod(dims)} weights are declared, {len(tensor)} bytes of them are there",
        )
        return name

    def _info(self, value: Value) -> str:
        """An input, an output or a value in between with its declared type; its name."""
        kinds, name = 0, ""
        for number, part in self.fields(view(value)):
            if number == 1:
                name = _text(part)
            elif number == 2:
                for kind, described in self.fields(view(part)):
                    if kind == _NOTE:
                        continue
                    kinds += 1
                    _check(kind == 1, "a value of the graph is no tensor")
                    self._tensor_type(described)
        _check(kinds <= 1, "a value of the graph has several types")
        return name

    def _tensor_type(self, value: Value) -> None:
        dims: list[int] = []
        kind = 0
        for number, part in self.fields(view(value)):
            if number == 1:
                kind = integer(part)
            elif number == 2:
                self._each(view(part), {1: lambda dim: dims.append(self._size(dim))})
        _check_shape("a value", dims, kind)

    def _size(self, value: Value) -> int:
        """A declared size; 1 for a free one."""
        size = 1
        for number, part in self.fields(view(value)):
            if number == 1:
                size = integer(part)
            elif number == 2:
                _text(part)
        return size


_Method = Callable[[Value], object]

_DOMAINS = ("", "ai.onnx")  # two names of the standard set
_NOTE = 6  # TypeProto.denotation: what the numbers mean, for people


def _refuse(why: str) -> _Method:
    def refuse(_: Value) -> None:
        _check(False, why)

    return refuse


def _check_shape(what: str, dims: list[int], kind: int) -> None:
    _check(kind in _NUMBERS, f"{what} of type {kind}, which are no numbers")
    _check(len(dims) <= MAX_RANK, f"{what} of {len(dims)} axes, at most {MAX_RANK} are taken")
    _check(
        min(dims, default=0) >= 0 and prod(dims) <= MAX_ELEMENTS,
        f"{what} of shape {dims}, at most {MAX_ELEMENTS} numbers are taken",
    )


def _few(value: Value) -> list[int]:
    """The numbers of a list that is as long as a tensor's axes are many, at most."""
    _check(isinstance(value, int) or len(value) <= 10 * 2 * MAX_RANK, "a shape of too many axes")
    return integers(value)


def _text(value: Value) -> str:
    name = view(value)
    _check(len(name) <= MAX_TEXT_BYTES, f"a name of {len(name)} bytes, at most {MAX_TEXT_BYTES}")
    return str(name, "utf-8")


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise BundleError(f"{what}; export the bundle again, or ask who made it")
