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

from . import limits
from .declared import Declarations, Method, check, few, text
from .errors import BundleError
from .operators import MAY_LEAVE_OUT, OPERATORS, SHAPE_INPUTS, SHAPE_READERS
from .protobuf import Value, WireError, integer, view

_DOMAINS = ("", "ai.onnx")  # two names of the standard set
_SIZE = range(1, (1 << 16) + 1)
_AXIS = range(-limits.MAX_RANK, limits.MAX_RANK + 1)
_RANGES = {  # of attributes that kernels may crash of
    "axes": _AXIS,
    "axis": _AXIS,
    "batch_dims": range(limits.MAX_RANK + 1),
    "blocksize": _SIZE,
    "dilations": _SIZE,
    "group": _SIZE,
    "hidden_size": _SIZE,
    "kernel_shape": _SIZE,
    "num_groups": _SIZE,
    "num_outputs": _SIZE,
    "strides": _SIZE,
}


def admit(model: memoryview) -> None:
    """Raise `BundleError` unless `model` is an ONNX file that may be handed to onnxruntime."""
    check_file_size(len(model))
    try:
        _Inspection().model(model)
    except (WireError, UnicodeDecodeError) as error:
        raise BundleError(f"no ONNX model, or a damaged one ({error})") from error


def check_file_size(size: int) -> None:
    """Raise `BundleError` for a file of more bytes than are read."""
    check(size <= limits.MAX_FILE_BYTES, f"{size} bytes, at most {limits.MAX_FILE_BYTES} are read")


class _Inspection(Declarations):
    """One look over one file; a method for each kind of record in it."""

    def __init__(self) -> None:
        super().__init__()
        self._metadata_bytes = 0
        # Names of values: those there are so far, and those that depend on the graph's inputs.
        self._known = {""}  # the name of an input left out
        self._heard: set[str] = set()

    def model(self, model: memoryview) -> None:
        graphs = self.each(
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
        check(graphs == 1, f"the model has {graphs} graphs instead of one")

    def _graph(self, value: Value) -> None:
        nodes: list[Value] = []
        weights: list[str] = []
        inputs: list[str] = []
        self.each(
            view(value),
            {
                1: nodes.append,
                5: lambda tensor: weights.append(self.tensor(tensor)),
                11: lambda info: inputs.append(self.info(info)),
                12: self.info,
                13: self.info,
                15: _refuse("the graph has sparse weights"),
            },
        )
        check(
            len(nodes) <= limits.MAX_NODES,
            f"{len(nodes)} nodes, at most {limits.MAX_NODES} are taken",
        )
        self._known.update(weights, inputs)
        self._heard.update(inputs)
        for node in nodes:
            self._node(node)

    def _opset(self, value: Value) -> None:
        domain, version = "", 0
        for number, part in self.fields(view(value)):
            if number == 1:
                domain = text(part)
            elif number == 2:
                version = integer(part)
        check(domain in _DOMAINS, f"the graph needs the operators of {domain!r:.60}")
        check(
            version >= limits.OLDEST_OPSET, f"opset {version} is older than {limits.OLDEST_OPSET}"
        )

    def _metadata(self, value: Value) -> None:
        entry = view(value)
        self._metadata_bytes += len(entry)
        found, most = self._metadata_bytes, limits.MAX_METADATA_BYTES
        check(found <= most, f"{found} bytes of metadata, at most {most} are read")
        for _, part in self.fields(entry):
            str(view(part), "utf-8")

    def _node(self, value: Value) -> None:
        inputs: list[str] = []
        outputs: list[str] = []
        operator = domain = ""
        numbers: dict[str, list[int]] = {}
        for number, part in self.fields(view(value)):
            if number == 1:
                inputs.append(text(part))
            elif number == 2:
                outputs.append(text(part))
            elif number == 4:
                operator = text(part)
            elif number == 5:
                numbers.update(self._attribute(part))
            elif number == 7:
                domain = text(part)
        whole = operator if domain in _DOMAINS else f"{domain}.{operator}"
        check(whole in OPERATORS, f"the graph uses the operator {whole!r:.60}, as no bundle may")
        check("" not in inputs or operator in MAY_LEAVE_OUT, f"{operator} lacks an input")
        parts = numbers.get("num_outputs", [len(outputs)])
        check(
            parts == [len(outputs)], f"{operator} makes {parts} outputs, {len(outputs)} are named"
        )
        self._wire(operator, inputs, outputs)

    def _wire(self, operator: str, inputs: list[str], outputs: list[str]) -> None:
        """Hold a node's inputs to what the nodes before it made, and to what is heard."""
        check(self._known.issuperset(inputs), "the graph's nodes are not in order")
        shapes = {inputs[at] for at in SHAPE_INPUTS.get(operator, ()) if at < len(inputs)}
        check(
            self._heard.isdisjoint(shapes),
            f"the size of what {operator} makes depends on what is heard",
        )
        self._known.update(outputs)
        if operator not in SHAPE_READERS and not self._heard.isdisjoint(inputs):
            self._heard.update(outputs)

    def _attribute(self, value: Value) -> dict[str, list[int]]:
        """The attribute's whole numbers by its name, where `_RANGES` has it; else nothing."""
        name, numbers, tensors = "", [], 0
        for number, part in self.fields(view(value)):
            if number == 1:
                name = text(part)
            elif number in (3, 8):
                numbers.append(part)
            elif number == 5:
                tensors += 1
                self.tensor(part)
            elif number in (6, 11):
                check(False, "a node holds a graph of its own, a loop or a branch")
            elif number in (10, 14, 15, 21, 22, 23):
                check(False, f"a node's {name!r:.60} is neither numbers, a text nor a tensor")
        check(tensors <= 1, f"a node's {name!r:.60} is several tensors")
        if name not in _RANGES:
            return {}
        expected, found = _RANGES[name], [number for part in numbers for number in few(part)]
        wrong = [number for number in found if number not in expected]
        check(
            not wrong,
            f"a node's {name} is {wrong[:1]}, expected {expected[0]} to {expected[-1]}",
        )
        return {name: found}


def _refuse(why: str) -> Method:
    def refuse(_: Value) -> None:
        check(False, why)

    return refuse
