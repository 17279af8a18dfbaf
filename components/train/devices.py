"""What a training runs on: chosen in one place, said, and used or refused before any data is read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf

from components.train.choice import faces_per_batch
from components.train.parameters import AUTO, JAX, SHARED, TENSORFLOW, Parameters
from fec.errors import ConfigurationError

# What a container with an accelerator in it has; TensorFlow may be unable to use it all the same.
_NVIDIA: Final = "nvidia[0-9]*"
_TPU: Final = ("accel[0-9]*", "vfio/[0-9]*")


@dataclass(frozen=True)
class Hosts:
    """Of how many hosts that train together this one is which; 0 is the chief, which alone stores anything."""

    count: int = 1
    number: int = 0


ALONE: Final = Hosts()


@dataclass(frozen=True)
class Devices:
    """``kind`` cpu, gpu or tpu; ``names`` of the devices of all hosts, how many work together, and what spreads the
    work over them: a strategy of TensorFlow, or a mesh of JAX; ``bfloat16``: whether they are made for it."""

    kind: str
    names: tuple[str, ...]
    replicas: int
    spread: Any
    backend: str = TENSORFLOW
    hosts: Hosts = ALONE
    bfloat16: bool = False

    @property
    def accelerated(self) -> bool:
        return self.kind != "cpu"

    @property
    def synchronized(self) -> bool:
        """Whether batch normalisation must be told to look at all devices: JAX sees a batch as one anyway."""
        return self.replicas > 1 and self.backend == TENSORFLOW

    def scope(self) -> AbstractContextManager[Any]:
        """In which a network is made for these devices."""
        return self.spread.scope() if self.backend == TENSORFLOW else nullcontext()

    def as_json(self) -> dict[str, Any]:
        """What ``train.json`` says of them."""
        return {
            "kind": self.kind,
            "devices": list(self.names),
            "replicas": self.replicas,
            "hosts": self.hosts.count,
            "backend": self.backend,
        }

    def __str__(self) -> str:
        by = " by JAX" if self.backend == JAX else ""
        hosts = f" of {self.hosts.count} hosts" if self.hosts.count > 1 else ""
        several = "s" * (self.replicas > 1)
        return f"{self.replicas} {self.kind.upper()}{several}{hosts}{by} ({', '.join(self.names)})"


def devices(p: Parameters, folder: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> Devices:
    """The devices to train on: of the kind ``p.device`` (auto: the best there is), ``p.device_count`` (0: all).

    Raises ConfigurationError if those are not there, if an accelerator is there and would stand idle, or if a batch
    cannot be shared out.
    """
    _as_we_are_tested(p.backend)
    hosts, addresses = hosts_of(environment)
    found = _by_jax(p, hosts) if p.backend == JAX else _by_tensorflow(p, hosts, addresses)
    if p.device == AUTO and not found.accelerated:
        _refuse_idle(folder)
    if p.device_count and found.replicas != p.device_count:
        raise ConfigurationError(
            f"--device-count {p.device_count}: training sees {found}; all that are asked for must be used"
        )
    refuse_unshared(p, found)
    return found


def refuse_unshared(p: Parameters, on: Devices) -> None:
    """Raise ConfigurationError for a batch that several hosts, or the devices of JAX, cannot share out evenly.

    One of shared faces no devices can.
    """
    if on.hosts.count == 1 and on.backend != JAX and p.batches != SHARED:
        return
    numbers = {"batch-size": p.batch_size}
    if p.batches == SHARED:
        numbers["faces-per-batch"] = faces_per_batch(p)
    for option, number in numbers.items():
        if number % on.replicas:
            whole = -(-number // on.replicas) * on.replicas
            raise ConfigurationError(
                f"--{option} {number}: {on.replicas} devices cannot share it; give a multiple, such as {whole}"
            )


def _by_tensorflow(p: Parameters, hosts: Hosts, addresses: tuple[str, ...]) -> Devices:
    gpus, tpus = tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices("TPU")
    kind = p.device if p.device != AUTO else "tpu" if tpus else "gpu" if gpus else "cpu"
    if (kind == "gpu" and not gpus) or (kind == "tpu" and not tpus):
        raise _not_found(kind, f"TensorFlow {tf.__version__}")
    strategy: Any
    if kind == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
        names = tuple(device.name for device in tpus)
    elif hosts.count > 1:
        # Before anything else asks TensorFlow for its devices: the hosts meet while it starts.
        if kind == "cpu":
            tf.config.set_visible_devices([], "GPU")
        strategy, names = tf.distribute.MultiWorkerMirroredStrategy(), addresses
    else:
        logical = tf.config.list_logical_devices(kind.upper())
        names = tuple(_described(device) for device in (gpus if kind == "gpu" else logical))
        several = [device.name for device in logical]
        strategy = tf.distribute.MirroredStrategy(several) if len(several) > 1 else tf.distribute.get_strategy()
    made_for_it = kind == "tpu" or (kind == "gpu" and all(map(_takes_bfloat16, gpus)))
    return Devices(kind, names, int(strategy.num_replicas_in_sync), strategy, TENSORFLOW, hosts, made_for_it)


def _by_jax(p: Parameters, hosts: Hosts) -> Devices:
    import jax

    if hosts.count > 1:
        raise ConfigurationError("--backend jax: trains on one host; unset TF_CONFIG, or take --backend tensorflow")
    # It only makes the batches.
    tf.config.set_visible_devices([], "GPU")
    try:
        here = jax.devices(None if p.device == AUTO else p.device)
    except RuntimeError:
        raise _not_found(p.device, f"JAX {jax.__version__}") from None
    mesh = jax.sharding.Mesh(here, ("batch",))
    kind = here[0].platform if here[0].platform in ("cpu", "tpu") else "gpu"
    # Of a card JAX tells its compute capability, as TensorFlow does.
    made_for_it = kind == "tpu" or (
        kind == "gpu" and all(float(getattr(card, "compute_capability", 0)) >= 8 for card in here)
    )
    names = tuple(str(device) for device in here)
    return Devices(kind, names, len(here), mesh, JAX, bfloat16=made_for_it)


def _not_found(kind: str, by: str) -> ConfigurationError:
    return ConfigurationError(
        f"--device {kind}: asked for, not found: {by} sees none here; use an image made for it, or --device cpu"
    )


def hosts_of(environment: Mapping[str, str]) -> tuple[Hosts, tuple[str, ...]]:
    """What TF_CONFIG says: which host of how many this is, and the addresses of all."""
    text = environment.get("TF_CONFIG") or "{}"
    try:
        told = json.loads(text)
        cluster = told.get("cluster", {})
        chiefs, workers = list(cluster.get("chief", ())), list(cluster.get("worker", ()))
        if len(chiefs) + len(workers) < 2:
            return ALONE, ()
        number = int(told["task"]["index"]) + (len(chiefs) if told["task"]["type"] == "worker" else 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f'TF_CONFIG {text[:80]}: expected {{"cluster": {{"worker": ["HOST:PORT", ...]}}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None
    return Hosts(len(chiefs) + len(workers), number), (*chiefs, *workers)


def _as_we_are_tested(backend: str) -> None:
    """Set what a keras.json of the user's would change: the same parameters would be another network."""
    if keras.backend.backend() != backend:
        raise ConfigurationError(f"Keras runs on {keras.backend.backend()} in this process, not on {backend}")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_dtype_policy("float32")


def _refuse_idle(folder: Path) -> None:
    for name, patterns in (("GPU", (_NVIDIA,)), ("TPU", _TPU)):
        if here := [path for pattern in patterns for path in folder.glob(pattern)]:
            raise ConfigurationError(
                f"{len(here)} {name}{'s' * (len(here) > 1)} found and left idle: TensorFlow sees none; "
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
