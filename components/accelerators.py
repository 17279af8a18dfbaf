"""GPUs and TPUs on GKE: what may be asked for, and what a task that asks for it must say.

The TPU table follows https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus#availability, the GPU names
https://cloud.google.com/kubernetes-engine/docs/concepts/gpus#available-gpus. A task of a pipeline is one
pod, so of the topologies only those of a single host can be trained on; the others are known, to say why not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fec.errors import ConfigurationError

GPU_RESOURCE: Final = "nvidia.com/gpu"
TPU_RESOURCE: Final = "google.com/tpu"
GPU_LABEL: Final = "cloud.google.com/gke-accelerator"
TPU_LABEL: Final = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY_LABEL: Final = "cloud.google.com/gke-tpu-topology"

# Any NVIDIA GPU the cluster has.
ANY_GPU: Final = "gpu"
# GPUs by their GKE label, with the numbers of them a machine may have.
GPUS: Final[Mapping[str, tuple[int, ...]]] = {
    "nvidia-tesla-t4": (1, 2, 4),
    "nvidia-tesla-p4": (1, 2, 4),
    "nvidia-tesla-p100": (1, 2, 4),
    "nvidia-tesla-v100": (1, 2, 4, 8),
    "nvidia-l4": (1, 2, 4, 8),
    "nvidia-tesla-a100": (1, 2, 4, 8, 16),
    "nvidia-a100-80gb": (1, 2, 4, 8),
    "nvidia-h100-80gb": (1, 2, 4, 8),
    "nvidia-h100-mega-80gb": (8,),
    "nvidia-h200-141gb": (8,),
    "nvidia-b200": (8,),
}


@dataclass(frozen=True)
class Accelerator:
    """What a pod asks for to get its accelerator: ``count`` of ``resource``, on nodes with these labels and taints.

    ``tolerations`` are Kubernetes' own (key, operator, effect). ``too_new``: made after the libtpu of fec-train-tpu.
    """

    resource: str
    count: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()
    too_new: bool = False


@dataclass(frozen=True)
class Slice:
    """A TPU topology on one machine type: ``chips`` in all, ``chips_per_node`` of them on each node."""

    topology: str
    chips_per_node: int
    machine_type: str

    @property
    def chips(self) -> int:
        return math.prod(_dimensions(self.topology))

    @property
    def nodes(self) -> int:
        return self.chips // self.chips_per_node


@dataclass(frozen=True)
class Generation:
    """A kind of TPU: its GKE label, its fixed topologies, and how large its cubes may grow (0: it is flat)."""

    name: str
    label: str
    slices: tuple[Slice, ...]
    cube_machine_type: str = ""
    max_cube_chips: int = 0
    too_new: bool = False

    def of(self, topology: str) -> tuple[Slice, ...]:
        """The machine types that make ``topology``, those with the fewest nodes first; none if GKE has not got it."""
        fixed = [item for item in self.slices if item.topology == topology]
        if not fixed and self._is_cube(topology):
            fixed = [Slice(topology, 4, self.cube_machine_type)]
        return tuple(sorted(fixed, key=lambda item: item.nodes))

    def _is_cube(self, topology: str) -> bool:
        """Up to 64 chips every side is 2 or 4, beyond them a multiple of 4; no side is shorter than the one before."""
        try:
            sides = _dimensions(topology)
        except ValueError:
            return False
        chips = math.prod(sides)
        if len(sides) != 3 or sides != sorted(sides) or not 8 <= chips <= self.max_cube_chips:
            return False
        return all(side in (2, 4) for side in sides) if chips <= 64 else all(side % 4 == 0 for side in sides)


def _flat(machine_types: str) -> tuple[Slice, ...]:
    """The topologies that v5e and v6e have in common; the machine type ends in ``1t``, ``4t`` or ``8t``."""
    single = (("1x1", 1), ("2x2", 4), ("2x4", 8))
    several = (("2x4", 4), ("4x4", 4), ("4x8", 4), ("8x8", 4), ("8x16", 4), ("16x16", 4))
    return tuple(Slice(topology, chips, f"{machine_types}-{chips}t") for topology, chips in (*single, *several))


TPUS: Final = (
    Generation("v4", "tpu-v4-podslice", (Slice("2x2x1", 4, "ct4p-hightpu-4t"),), "ct4p-hightpu-4t", 4096),
    Generation("v5e", "tpu-v5-lite-podslice", _flat("ct5lp-hightpu")),
    Generation("v5p", "tpu-v5p-slice", (Slice("2x2x1", 4, "ct5p-hightpu-4t"),), "ct5p-hightpu-4t", 6144),
    Generation("v6e", "tpu-v6e-slice", _flat("ct6e-standard")),
    Generation(
        "tpu7x",
        "tpu7x",
        (Slice("1x1x1", 1, "tpu7x-standard-1t"), Slice("2x2x1", 4, "tpu7x-standard-4t")),
        "tpu7x-standard-4t",
        9216,
        # libtpu 0.0.14, which TensorFlow 2.20 was made for, is of May 2025; this TPU of November.
        too_new=True,
    ),
)


def accelerator(kind: str, count: int = 0, topology: str = "") -> Accelerator:
    """What a pod must ask for to get ``count`` of ``kind``.

    ``kind`` is ``gpu`` (any NVIDIA GPU), a GKE GPU label such as ``nvidia-l4``, or a TPU by name or GKE label such as
    ``v5e`` or ``tpu-v5-lite-podslice``. ``count`` is GPUs (0: one) or TPU chips of the pod (0: all of the topology).
    Raises ConfigurationError for what GKE does not have, or has only on several hosts.
    """
    if count < 0:
        raise ConfigurationError(f"accelerator count {count}: expected 1 or more, or 0 to choose by kind and topology")
    if kind == ANY_GPU or kind in GPUS:
        return _gpu(kind, count or 1, topology)
    for generation in TPUS:
        if kind in (generation.name, generation.label):
            return _tpu(generation, count, topology)
    tpus = ", ".join(f"{generation.name} ({generation.label})" for generation in TPUS)
    raise ConfigurationError(
        f"accelerator {kind!r}: expected {ANY_GPU} (any NVIDIA GPU), one of {', '.join(GPUS)}, or a TPU: {tpus}"
    )


def check_selected(node_selector: Mapping[str, str], count: int) -> None:
    """Raises ConfigurationError where GKE's nodes with these labels have no ``count`` of their accelerators for a pod.

    Of labels that are not known here nothing is said: GKE gets new ones.
    """
    gpu, tpu = node_selector.get(GPU_LABEL, ""), node_selector.get(TPU_LABEL, "")
    if gpu in GPUS:
        accelerator(gpu, count)
    topology = node_selector.get(TOPOLOGY_LABEL, "")
    known = [generation for generation in TPUS if generation.label == tpu]
    if known and topology and known[0].of(topology):
        accelerator(tpu, count, topology)


def _gpu(kind: str, count: int, topology: str) -> Accelerator:
    if topology:
        raise ConfigurationError(
            f"topology {topology!r} with accelerator {kind}: only TPUs have a topology; leave it out"
        )
    selector: dict[str, str] = {}
    if kind != ANY_GPU:
        if count not in GPUS[kind]:
            counts = ", ".join(map(str, GPUS[kind]))
            raise ConfigurationError(f"{count} of {kind}: GKE's machines have {counts} of them")
        selector[GPU_LABEL] = kind
    return Accelerator(GPU_RESOURCE, count, selector, _tolerations(GPU_RESOURCE))


def _tpu(generation: Generation, count: int, topology: str) -> Accelerator:
    one_host = [item for item in generation.slices if item.nodes == 1]
    choices = ", ".join(f"{item.topology} ({item.chips_per_node} chips, {item.machine_type})" for item in one_host)
    if not topology:
        raise ConfigurationError(f"TPU {generation.name}: name a topology; a task is one pod, which can use {choices}")
    found = generation.of(topology)
    if not found:
        raise ConfigurationError(
            f"TPU {generation.name} has no topology {topology!r}; a task is one pod, which can use {choices}"
        )
    smallest = found[0]
    if smallest.nodes > 1:
        raise ConfigurationError(
            f"TPU {generation.name} topology {topology} is {smallest.chips} chips on {smallest.nodes} nodes, and a "
            f"task is one pod on one node; use {choices}"
        )
    if count and count != smallest.chips_per_node:
        raise ConfigurationError(
            f"{count} chips of TPU {generation.name} topology {topology}: a pod takes all "
            f"{smallest.chips_per_node} of its node, {smallest.machine_type}; ask for {smallest.chips_per_node}"
        )
    selector = {TPU_LABEL: generation.label, TOPOLOGY_LABEL: topology}
    tolerations = _tolerations(TPU_RESOURCE)
    return Accelerator(TPU_RESOURCE, smallest.chips_per_node, selector, tolerations, generation.too_new)


def _tolerations(resource: str) -> tuple[Mapping[str, str], ...]:
    """GKE taints the nodes of an accelerator with its resource name."""
    return ({"key": resource, "operator": "Exists", "effect": "NoSchedule"},)


def _dimensions(topology: str) -> list[int]:
    """The sides of ``2x2x1``; raises ValueError for what is none."""
    sides = topology.split("x")
    if not 2 <= len(sides) <= 3 or not all(side.isascii() and side.isdecimal() and side[0] != "0" for side in sides):
        raise ValueError(topology)
    return [int(side) for side in sides]
