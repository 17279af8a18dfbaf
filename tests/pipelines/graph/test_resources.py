"""What the tasks ask for fits the machines that docs/cluster.md makes for them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from components.options import STEPS
from fec.parameters import field_of
from pipelines.graph.form import PlacementParameters
from pipelines.jobs.manifest import CPU, MEMORY
from pipelines.jobs.syntax import amount
from tests.docs.fences import REPOSITORY

# Of a node of GKE, what is left for pods: https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
# (cores, bytes), less 300m and 512Mi for the pods that GKE itself puts on every node.
ALLOCATABLE = {
    "e2-standard-4": (Decimal("3.92"), amount("13.3Gi")),
    "g2-standard-8": (Decimal("7.91"), amount("28.8Gi")),
}
OWN_PODS = (Decimal("0.3"), amount("512Mi"))


def fits(cpu: str, memory: str, machine: str) -> bool:
    cores, size = ALLOCATABLE[machine]
    return amount(cpu) <= cores - OWN_PODS[0] and amount(memory) <= size - OWN_PODS[1]


def default(name: str) -> Any:
    return field_of(PlacementParameters, name).default


def test_the_machines_are_those_of_the_guide() -> None:
    page = (REPOSITORY / "docs" / "cluster.md").read_text()
    assert set(re.findall(r"--machine-type=((?:e2|g2)-\S+)", page)) == set(ALLOCATABLE)


@pytest.mark.parametrize("step", [step for step in STEPS if step != "summarize"])
def test_a_task_of_the_pipeline_fits_a_data_node(step: str) -> None:
    assert fits(default(f"{step}_cpu"), default(f"{step}_memory"), "e2-standard-4")


@pytest.mark.parametrize("step", CPU)
def test_a_pod_of_a_job_fits_a_data_node(step: str) -> None:
    assert fits(CPU[step], MEMORY[step], "e2-standard-4")


@pytest.mark.parametrize(
    ("text", "worth"),
    [("500m", "0.5"), ("2", "2"), ("1Ki", "1024"), ("1k", "1000"), ("2Gi", "2147483648"), ("1e3", "1000")],
)
def test_a_quantity_is_worth_what_kubernetes_says(text: str, worth: str) -> None:
    assert amount(text) == Decimal(worth)
