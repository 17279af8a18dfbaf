"""What a training runs on: chosen in one place, said, and used or refused before any data is read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf

from components.train.parameters import AUTO
from fec.errors import ConfigurationError

# What a container with an accelerator in it has; TensorFlow may be unable to use it all the same.
_NVIDIA: Final = "nvidia[0-9]*"
_TPU: Final = ("accel[0-9]*", "vfio/[0-9]*")


@dataclass(frozen=True)
class Devices:
    """``kind`` cpu, gpu or tpu; ``names`` of the devices of all hosts, and how TensorFlow spreads work over them.

    ``bfloat16``: whether they are made for it, so that it pays.
    """

    kind: str
    names: tuple[str, ...]
    strategy: Any
    bfloat16: bool = False

    @property
    def accelerated(self) -> bool:
        return self.kind != "cpu"

    @property
    def replicas(self) -> int:
        return int(self.strategy.num_replicas_in_sync)

    def __str__(self) -> str:
        return f"{self.replicas} {self.kind.upper()}" + "s" * (self.replicas > 1) + f" ({', '.join(self.names)})"


def devices(
    wanted: str,
    count: int,
    folder: Path = Path("/dev"),
    environment: Mapping[str, str] = os.environ,
) -> Devices:
    """The devices to train on: of the kind ``wanted`` (auto: the best there is), ``count`` of them (0: all).

    Raises ConfigurationError if those are not there, or if an accelerator is there and would stand idle.
    """
    _as_we_are_tested()
    hosts = len(json.loads(environment.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", ()))
    gpus, tpus = tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices("TPU")
    kind = wanted if wanted != AUTO else "tpu" if tpus else "gpu" if gpus else "cpu"
    if wanted == AUTO and kind == "cpu":
        _refuse_idle(folder)
    if (kind == "gpu" and not gpus) or (kind == "tpu" and not tpus):
        raise ConfigurationError(
            f"--device {kind}: TensorFlow {tf.__version__} sees none here; use an image made for it, or --device cpu"
        )
    if kind == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
        names = tuple(device.name for device in tpus)
    elif hosts > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        names = (f"{hosts} hosts",)
    else:
        logical = tf.config.list_logical_devices(kind.upper())
        names = tuple(_described(device) for device in (gpus if kind == "gpu" else logical))
        several = [device.name for device in logical]
        strategy = tf.distribute.MirroredStrategy(several) if len(several) > 1 else tf.distribute.get_strategy()
    found = Devices(kind, names, strategy, kind == "tpu" or (kind == "gpu" and all(map(_takes_bfloat16, gpus))))
    if count and found.replicas != count:
        raise ConfigurationError(
            f"--device-count {count}: TensorFlow sees {found}; all that are asked for must be used"
        )
    return found


def _as_we_are_tested() -> None:
    """Set what a keras.json of the user's would change: the same parameters would be another network."""
    if keras.backend.backend() != "tensorflow":
        raise ConfigurationError(
            f"Keras runs on {keras.backend.backend()}: unset KERAS_BACKEND, training is on tensorflow"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_dtype_policy("float32")


def _refuse_idle(folder: Path) -> None:
    for name, patterns in (("GPU", (_NVIDIA,)), ("TPU", _TPU)):
        if here := [path for pattern in patterns for path in folder.glob(pattern)]:
            raise ConfigurationError(
                f"{len(here)} {name}{'s' * (len(here) > 1)} would stand idle: TensorFlow {tf.__version__} sees none; "
                "use an image made for it, or --device cpu"
            )


def _takes_bfloat16(gpu: Any) -> bool:
    """NVIDIA's cards have units for it since Ampere; older ones are slower with it than without."""
    return tuple(tf.config.experimental.get_device_details(gpu).get("compute_capability", ())) >= (8, 0)


def _described(device: Any) -> str:
    """The card's name, where TensorFlow tells it, else the device's."""
    if device.device_type == "GPU":
        return str(tf.config.experimental.get_device_details(device).get("device_name", device.name))
    return str(device.name)
