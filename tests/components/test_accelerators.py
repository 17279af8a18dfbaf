"""Accelerators: what GKE has is described, what it has not is refused with the reason."""

import pytest

from components.accelerators import GPUS, TPUS, Accelerator, accelerator
from fec.errors import ConfigurationError


def test_any_gpu_may_be_asked_for_in_any_number() -> None:
    assert accelerator("gpu", 3) == Accelerator(
        "nvidia.com/gpu", 3, {}, ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
    )


def test_no_count_of_a_gpu_is_one() -> None:
    assert accelerator("gpu").count == 1


def test_a_gpu_by_name_selects_its_nodes() -> None:
    assert accelerator("nvidia-l4", 2).node_selector == {"cloud.google.com/gke-accelerator": "nvidia-l4"}


@pytest.mark.parametrize(
    ("kind", "topology", "chips", "label"),
    [
        ("v4", "2x2x1", 4, "tpu-v4-podslice"),
        ("v5e", "1x1", 1, "tpu-v5-lite-podslice"),
        ("v5e", "2x2", 4, "tpu-v5-lite-podslice"),
        ("tpu-v5-lite-podslice", "2x4", 8, "tpu-v5-lite-podslice"),
        ("v5p", "2x2x1", 4, "tpu-v5p-slice"),
        ("v6e", "2x4", 8, "tpu-v6e-slice"),
        ("tpu7x", "1x1x1", 1, "tpu7x"),
    ],
)
def test_a_tpu_of_one_host_takes_all_chips_of_its_node(kind: str, topology: str, chips: int, label: str) -> None:
    found = accelerator(kind, topology=topology)
    assert (found.resource, found.count) == ("google.com/tpu", chips)
    assert found.node_selector == {
        "cloud.google.com/gke-tpu-accelerator": label,
        "cloud.google.com/gke-tpu-topology": topology,
    }
    assert accelerator(kind, chips, topology) == found


@pytest.mark.parametrize(
    ("kind", "count", "topology", "reason"),
    [
        ("tpu-v3", 3, "2x2", "expected gpu"),
        ("gpu", -1, "", "count -1"),
        ("gpu", 1, "2x2", "only TPUs have a topology"),
        ("nvidia-l4", 3, "", "1, 2, 4, 8"),
        ("v5e", 4, "", "name a topology"),
        ("v5e", 0, "3x3", "no topology '3x3'"),
        ("v5e", 0, "2x2x1", "no topology"),
        ("v5e", 0, "4x4", "16 chips on 4 nodes"),
        ("v5e", 4, "2x4", "ask for 8"),
        ("v5p", 0, "4x4x4", "64 chips on 16 nodes"),
        ("v5p", 0, "4x4x6", "no topology"),
        ("v4", 0, "16x16x20", "no topology"),
        ("v6e", 0, "2x", "no topology"),
        ("v4", 0, "02x2x1", "no topology"),
    ],
)
def test_what_gke_has_not_is_refused_with_the_reason(kind: str, count: int, topology: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        accelerator(kind, count, topology)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("generation", TPUS, ids=lambda generation: generation.name)
def test_every_slice_fills_whole_nodes(generation: object) -> None:
    assert [item for item in generation.slices if item.chips % item.chips_per_node] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "topology", "nodes"),
    [
        ("v4", "2x2x2", 2),
        ("v4", "4x4x8", 32),
        ("v4", "16x16x16", 1024),
        ("v5p", "8x8x8", 128),
        ("v5p", "16x16x24", 1536),
    ],
)
def test_larger_cubes_are_known_with_their_nodes(name: str, topology: str, nodes: int) -> None:
    generation = next(item for item in TPUS if item.name == name)
    assert [item.nodes for item in generation.of(topology)] == [nodes]


def test_every_named_gpu_can_be_had_in_the_numbers_its_machines_have() -> None:
    asked = [(kind, count) for kind, counts in GPUS.items() for count in counts]
    assert [accelerator(kind, count).count for kind, count in asked] == [count for _, count in asked]
