"""What the tasks ask for adds up to the machines that docs/cluster.md makes for them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest

from components.options import STEPS
from components.placement import PlacementParameters
from components.resources import RESOURCES, Resources
from fec.kube_syntax import amount
from fec.parameters import field_of
from pipelines.graph.options import CompileOptions
from tests.docs.fences import REPOSITORY

# Of a node of GKE, what is left for pods: https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
# (cores, bytes), less 300m and 512Mi for the pods that GKE itself puts on every node.
ALLOCATABLE = {
    "e2-standard-4": (Decimal("3.92"), amount("13.3Gi")),
    "g2-standard-8": (Decimal("7.91"), amount("28.8Gi")),
}
OWN_PODS = (Decimal("0.3"), amount("512Mi"))
# Of Argo's container beside each task's, as Kubeflow's own manifests have it.
BESIDE = (amount("10m"), amount("32Mi"))
PAGE = (REPOSITORY / "docs" / "cluster.md").read_text()
DATA_NODE = "e2-standard-4"


def free(machine: str) -> tuple[Decimal, Decimal]:
    cores, size = ALLOCATABLE[machine]
    return cores - OWN_PODS[0], size - OWN_PODS[1]


def to_a_node(asked: Resources, machine: str = DATA_NODE) -> int:
    """How many such tasks a scheduler puts on one node."""
    cores, size = free(machine)
    per_core, per_size = amount(asked.cpu_request) + BESIDE[0], amount(asked.memory_request) + BESIDE[1]
    return min(int(cores / per_core), int(size / per_size))


def test_the_table_has_every_step_and_is_the_forms_default() -> None:
    assert set(RESOURCES) == set(STEPS) - {"summarize"}
    for step, asked in RESOURCES.items():
        assert field_of(PlacementParameters, f"{step}_cpu").default == asked.cpu
        assert field_of(PlacementParameters, f"{step}_memory").default == asked.memory


def test_the_machines_are_those_of_the_guide() -> None:
    assert set(re.findall(r"--machine-type=((?:e2|g2)-\S+)", PAGE)) == set(ALLOCATABLE)


@pytest.mark.parametrize("step", RESOURCES)
def test_what_a_task_may_use_at_most_fits_a_data_node(step: str) -> None:
    asked, (cores, size) = RESOURCES[step], free(DATA_NODE)
    assert amount(asked.cpu_request) <= amount(asked.cpu) <= cores
    assert amount(asked.memory_request) <= amount(asked.memory) <= size


@pytest.mark.parametrize("step", RESOURCES)
def test_the_guide_says_what_the_table_says(step: str) -> None:
    asked = RESOURCES[step]
    cells = (step, f"{asked.cpu_request}, {asked.memory_request}", f"{asked.cpu}, {asked.memory}", to_a_node(asked))
    assert f"| {' | '.join(map(str, cells))} |" in PAGE


def test_the_data_nodes_hold_all_tasks_that_run_at_a_time() -> None:
    (data_nodes,) = map(int, re.findall(r"--max-nodes=(\d\d+)", PAGE))
    at_a_time = CompileOptions().parallelism
    needed = [math.ceil(at_a_time / to_a_node(RESOURCES[step])) for step in ("download", "faces", "datagen")]
    assert max(needed) <= data_nodes
    assert f"0 to {data_nodes} nodes of 4 cores" in PAGE


def test_training_fits_the_node_with_a_gpu() -> None:
    assert to_a_node(RESOURCES["train"], "g2-standard-8") >= 1


@pytest.mark.parametrize(
    ("text", "worth"),
    [("500m", "0.5"), ("2", "2"), ("1Ki", "1024"), ("1k", "1000"), ("2Gi", "2147483648"), ("1e3", "1000")],
)
def test_a_quantity_is_worth_what_kubernetes_says(text: str, worth: str) -> None:
    assert amount(text) == Decimal(worth)
