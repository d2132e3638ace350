"""A bundle: one ONNX file with a network, the query baked in, and all the engine must know."""

import base64
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .conditioner import Conditioner
from .errors import BundleError
from .limits import MAX_CONDITIONING, MAX_STATE
from .listener import Listener
from .metadata import read_metadata
from .ort import open_cpu, run_in_time
from .spec import Spec
from .vocabulary import Vocabulary

_MODELS = Path(__file__).parent / "models"

Shape = tuple[int | str, ...]
Carried = TypeVar("Carried")


def shipped() -> list[str]:
    """Names of the bundles that come with Soloist, each fit for `Bundle.open`."""
    return sorted(path.stem for path in _MODELS.glob("*.onnx"))


class Bundle:
    """An opened and checked bundle; `Bundle.open` makes one.

    `path`: the file; `spec`: what it promises; `metadata`: all of the file's metadata texts;
    `state_size` S: numbers of recurrent state a channel (0 in a windowed bundle);
    `conditioning_size` D: numbers that a query becomes (0 where the query is folded into the
    network and cannot be another).
    """

    def __init__(
        self,
        path: Path,
        spec: Spec,
        metadata: dict[str, str],
        state_size: int,
        conditioning_size: int,
    ) -> None:
        self.path = path
        self.spec = spec
        self.metadata = metadata
        self.state_size = state_size
        self.conditioning_size = conditioning_size

    @classmethod
    def open(cls, name: str | Path) -> "Bundle":
        """Open a bundle by the name of a shipped one or by its path (a shipped name wins).

        Raises `BundleError` if there is no such file, it is not ONNX, carries no spec, or its
        graph is not the one that the spec promises; it is run once to see.
        """
        path = _find(name)
        session = open_cpu(path, optimise=False)
        metadata = read_metadata(path)
        if "soloist" not in metadata:
            raise BundleError(
                f"{path} is an ONNX model, but no Soloist bundle (it has no 'soloist' metadata); "
                "make one with `soloist export`"
            )
        try:
            spec = Spec.from_json(metadata["soloist"])
            sizes = _check_graph(session, spec)
            _try(session, spec, sizes)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        return cls(path, spec, metadata, sizes.get("S", 0), sizes.get("D", 0))

    @property
    def card(self) -> str | None:
        """The model card, Markdown, if the bundle carries one; without what a terminal obeys."""
        card = self.metadata.get("soloist.card")
        return card and "".join(c for c in card if c.isprintable() or c in "\n\t")

    @property
    def encoder(self) -> str:
        """Name of the text encoder whose embeddings the network was trained on."""
        return self.spec.queries[0].encoder

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The words the network was trained on, if carried; `BundleError` if unreadable."""
        text = self.metadata.get("soloist.vocabulary")
        return None if text is None else Vocabulary.from_json(text)

    @cached_property
    def conditioner(self) -> Conditioner | None:
        """What turns new words' embeddings into conditioning, if carried.

        Without one the bundle plays its baked queries only. `BundleError` if unreadable.
        """
        conditioner = self._carried("conditioner", Conditioner)
        if conditioner is not None:
            self._check_sizes(conditioner)
        return conditioner

    @cached_property
    def listener(self) -> Listener | None:
        """What hears which of the vocabulary's classes are there, if carried, for `streaming`.

        `BundleError` if unreadable, or where vocabulary or conditioner do not go with it.
        """
        listener = self._carried("listener", Listener)
        if listener is None:
            return None
        classes = self.vocabulary.classes if self.vocabulary is not None else {}
        unknown = [name for name in listener.hearing.classes if not classes.get(name)]
        offsets = listener.hearing.opposition.offsets
        if self.conditioner is None or unknown:
            raise BundleError(
                f"{self.path}: the listener hears classes that the bundle has no words or no "
                f"conditioner for ({', '.join(unknown[:3]) or 'all'}); export the bundle again"
            )
        if offsets > self.conditioning_size:
            raise BundleError(
                f"{self.path}: the listener adds to {offsets} numbers of a conditioning of "
                f"{self.conditioning_size}; export the bundle again"
            )
        return listener

    @cached_property
    def class_conditioning(self) -> NDArray[np.float32]:
        """Conditioning [C, D] of each class that the listener knows, the mean of its phrases'.

        For a bundle that carries a listener.
        """
        listener, vocabulary, conditioner = self.listener, self.vocabulary, self.conditioner
        assert listener is not None and vocabulary is not None and conditioner is not None
        phrases = [vocabulary.classes[name] for name in listener.hearing.classes]
        found = [vocabulary.find(phrase) for members in phrases for phrase in members]
        # all in one run: each costs as much as a hundred phrases
        rows = conditioner(vocabulary.embeddings[[row for row in found if row is not None]])
        ends = np.cumsum([len(members) for members in phrases])
        return np.stack([each.mean(axis=0) for each in np.split(rows, ends[:-1])])

    def _carried(self, what: str, kind: Callable[[bytes], Carried]) -> Carried | None:
        """A small network in the metadata, in base64."""
        text = self.metadata.get(f"soloist.{what}")
        if text is None:
            return None
        try:
            return kind(base64.b64decode(text, validate=True))
        except (ValueError, BundleError) as error:
            raise BundleError(f"{self.path}: the {what} is unreadable ({error})") from error

    def _check_sizes(self, conditioner: Conditioner) -> None:
        vocabulary = self.vocabulary
        embedding = conditioner.embedding_size if vocabulary is None else vocabulary.dimension
        if (embedding, self.conditioning_size) != (
            conditioner.embedding_size,
            conditioner.conditioning_size,
        ):
            raise BundleError(
                f"{self.path}: the conditioner turns {conditioner.embedding_size} numbers into "
                f"{conditioner.conditioning_size}, but embeddings have {embedding} and the graph "
                f"takes {self.conditioning_size}; export the bundle again"
            )


def _find(name: str | Path) -> Path:
    if name in shipped():
        return _MODELS / f"{name}.onnx"
    path = Path(name)
    try:
        found = "" if path.is_file() else "a folder" if path.is_dir() else "no such file"
    except OSError as error:  # such as a name that is too long
        found = error.strerror or str(error)
    if found:
        known = ", ".join(shipped()) or "none"
        raise BundleError(f"no model {str(name)!r}: {found}; give a path or one of: {known}")
    return path


def _check_graph(session: onnxruntime.InferenceSession, spec: Spec) -> dict[str, int]:
    """Hold the graph's inputs and outputs to the bundle's contract; sizes S and D as found."""
    bins = spec.frames.bins
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    defaults: dict[str, Shape] = {"conditioning": ("Q", "D")}
    overridable = session.get_overridable_initializers()
    sizes: dict[str, int] = {}
    if spec.kind == "streaming":
        inputs = {"spectrum": ("B", bins, 2), "state": ("B", "S")}
        outputs = {"stems": ("B", "Q", bins, 2), "next_state": ("B", "S")}
    else:
        # Spec has made sure that a windowed bundle says both.
        window, emitted = spec.window_frames or 0, spec.emitted_frames or 0
        inputs = {"spectrogram": ("B", bins, window, 2)}
        outputs = {"masks": ("B", "Q", bins, emitted, "M")}
        # Not every offline network takes any number of channels or queries.
        sizes = {"B": 1, "Q": len(spec.queries)}
        if not overridable:  # the queries are folded into the weights
            defaults = {}
    _check_nodes("inputs", session.get_inputs(), inputs, sizes)
    _check_nodes("inputs with a default", overridable, defaults, sizes)
    _check_nodes("outputs", session.get_outputs(), outputs, sizes)
    for name, limit in (("S", MAX_STATE), ("D", MAX_CONDITIONING)):
        if sizes.get(name, 0) > limit:
            raise BundleError(f"the graph's {name} is {sizes[name]}, at most {limit} are taken")
    return sizes


def _try(session: onnxruntime.InferenceSession, spec: Spec, sizes: dict[str, int]) -> None:
    """Run the graph once, on silence and as it stands: what comes out is what was promised.

    Optimising it comes later and runs, with no limit of time, such parts of it as hear nothing.
    """
    bins, queries = spec.frames.bins, len(spec.queries)
    inputs: dict[str, tuple[int, ...]]
    expected: dict[str, tuple[int, ...]]
    if spec.kind == "streaming":
        inputs = {"spectrum": (1, bins, 2), "state": (1, sizes["S"])}
        expected = {"stems": (1, queries, bins, 2), "next_state": (1, sizes["S"])}
    else:
        inputs = {"spectrogram": (1, bins, spec.window_frames or 0, 2)}
        expected = {"masks": (1, queries, bins, spec.emitted_frames or 0)}
    silence = {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}
    found = run_in_time(lambda options: session.run(list(expected), silence, options))
    for (name, shape), output in zip(expected.items(), found, strict=True):
        if output.shape[: len(shape)] != shape:
            raise BundleError(
                f"the graph makes {name} of {list(output.shape)}, expected {list(shape)}; "
                "export the bundle again"
            )


def _check_nodes(
    what: str,
    found: Sequence[onnxruntime.NodeArg],
    expected: dict[str, Shape],
    sizes: dict[str, int],
) -> None:
    by_name = {node.name: node for node in found}
    if by_name.keys() != expected.keys():
        raise BundleError(
            f"the graph's {what} are {', '.join(sorted(by_name)) or 'none'}; "
            f"expected {', '.join(expected)}; export the bundle again"
        )
    for name, shape in expected.items():
        node = by_name[name]
        # An exporter may leave an output's axis open although it is fixed, never an input's.
        fits = [
            _fits(found, wanted, sizes)
            or (what == "outputs" and wanted != "M" and not isinstance(found, int))
            for found, wanted in zip(node.shape, shape, strict=False)
        ]
        if node.type != "tensor(float)" or len(node.shape) != len(shape) or not all(fits):
            raise BundleError(
                f"the graph's {name} is {node.type} {node.shape}; "
                f"expected tensor(float) {list(shape)}; export the bundle again"
            )


def _fits(found: int | str | None, expected: int | str, sizes: dict[str, int]) -> bool:
    """Compare one axis.

    B and Q are open, or what `sizes` knows of them; M is 1 or 2 (a real mask, or real and imaginary
    part); S and D are any number but one and the same.
    """
    if expected in ("B", "Q"):
        return not isinstance(found, int) or found == sizes.get(str(expected))
    if expected == "M":
        return found in (1, 2)
    if isinstance(expected, str):
        return isinstance(found, int) and sizes.setdefault(expected, found) == found
    return found == expected
