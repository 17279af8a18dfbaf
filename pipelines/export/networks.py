"""A trained network in the forms that other runtimes load, each held against the network it was made of."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from components.faces.detectors.onnx_sessions import open_session
from fec.errors import ConfigurationError, RunFailed
from pipelines.embedding.embedder import Embedder
from pipelines.embedding.hearing import unheard

# How far a number of an embedding may be from the network's own: far below what tells two photographs apart.
TOLERANCE: Final = 1e-4
_PROBES: Final = 4

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkFormat:
    """A form: its file's name, what it takes (for a person), the packages it needs, what writes and what runs it.

    ``write`` is given the network and the path, ``run`` the path and faces as ``takes`` says; ``given`` makes these of
    float32 RGB 0..255 [n, size, size, 3].
    """

    file: str
    takes: str
    packages: tuple[str, ...]
    write: Callable[[Any, Path], None]
    run: Callable[[Path, Floats], Any]
    given: Callable[[Floats], Floats] = lambda faces: faces


def export_network(embedder: Embedder, name: str, folder: Path) -> tuple[Path, float]:
    """Write the network as ``name`` (NETWORK_FORMATS), and its card; the path, and how far its outputs are at the most.

    Raises ConfigurationError where a package is missing, and RunFailed if the outputs do not agree.
    """
    form = NETWORK_FORMATS[name]
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigurationError(f"--to {name} needs {', '.join(missing)}: pip install 'fec[export]'")
    path = folder / form.file
    side = embedder.card.preprocessing.image_size
    faces = np.random.default_rng(0).uniform(0, 255, (_PROBES, side, side, 3)).astype(np.float32)
    wanted = np.asarray(embedder.network(faces, training=False))  # Keras exports nothing that was never called
    with unheard(), warnings.catch_warnings(action="ignore"):  # tf2onnx and TensorFlow Lite on what is theirs
        form.write(embedder.network, path)
        got = np.asarray(form.run(path, form.given(faces)))
    apart = float(np.abs(got - wanted).max())
    if not apart <= TOLERANCE:
        raise RunFailed(f"the {name} gives other embeddings than the model (by {apart:.2g}): nothing was kept")
    (folder / "model.json").write_bytes(embedder.card.to_bytes())
    return path, apart


def _write_savedmodel(network: Any, path: Path) -> None:
    network.export(path, format="tf_saved_model", verbose=False)


def _run_savedmodel(path: Path, faces: Floats) -> Any:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # its variables live as long as this does
    return loaded.serve(faces)


def _write_litert(network: Any, path: Path) -> None:
    network.export(path, format="litert", verbose=False)


def _run_litert(path: Path, faces: Floats) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    [given], [asked] = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], faces.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], faces)
    interpreter.invoke()
    return interpreter.get_tensor(asked["index"])


def _write_onnx(network: Any, path: Path) -> None:
    network.export(path, format="onnx", verbose=False)


def _run_onnx(path: Path, faces: Floats) -> Any:
    running = open_session(path)
    return running.run(None, {running.get_inputs()[0].name: faces})[0]


def _write_torch_onnx(network: Any, path: Path) -> None:
    import keras

    side = network.input_shape[1]
    faces = keras.Input((3, side, side), name="faces")
    pixels = keras.layers.Rescaling(255.0, name="pixels")(keras.layers.Permute((2, 3, 1), name="rows")(faces))
    channels_first = keras.Model(faces, network(pixels), name="channels_first")
    channels_first(np.zeros((1, 3, side, side), np.float32))  # or Keras does not know it as built
    channels_first.export(path, format="onnx", verbose=False)


NETWORK_FORMATS: Final[Mapping[str, NetworkFormat]] = {
    "savedmodel": NetworkFormat(
        "savedmodel", "float32 RGB 0..255 [n, size, size, 3]", (), _write_savedmodel, _run_savedmodel
    ),
    "litert": NetworkFormat(
        "model.tflite", "float32 RGB 0..255 [n, size, size, 3]", ("ai_edge_litert",), _write_litert, _run_litert
    ),
    "onnx": NetworkFormat("model.onnx", "float32 RGB 0..255 [n, size, size, 3]", ("tf2onnx",), _write_onnx, _run_onnx),
    "torch-onnx": NetworkFormat(
        "model.onnx",
        "float32 RGB 0..1 [n, 3, size, size], as torchvision's ToTensor gives it",
        ("tf2onnx",),
        _write_torch_onnx,
        _run_onnx,
        lambda faces: np.ascontiguousarray(faces.transpose(0, 3, 1, 2) / np.float32(255)),
    ),
}
