"""The pods of a run that follow one upon the other."""

from pathlib import Path
from typing import List  # noqa: UP035  # as kfp reads it

import pytest
from kfp import compiler, dsl

from pipelines.graph.chain import longest_chain
from pipelines.graph.options import CompileOptions
from pipelines.pipeline import pipeline


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def step(group: str = "") -> str:
    return group


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def groups() -> List[str]:  # noqa: UP006
    return ["0/1"]


@dsl.pipeline(name="one")
def one() -> None:
    step()


@dsl.pipeline(name="side-by-side")
def side_by_side() -> None:
    step(group=step().output)
    step()


@dsl.pipeline(name="loop")
def loop() -> None:
    with dsl.ParallelFor(groups().output) as group:
        step(group=group)


@dsl.pipeline(name="ended")
def ended() -> None:
    with dsl.ExitHandler(step()):
        step()


@pytest.mark.parametrize(
    ("graph", "pods"),
    [(one, 1 + 2), (side_by_side, 1 + 2 * 2), (loop, 1 + 2 + 2 + 2), (ended, 1 + 1 + 2 + 2)],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_longest_way_counts_drivers_and_executors(graph: object, pods: int, tmp_path: Path) -> None:
    compiler.Compiler().compile(graph, str(tmp_path / "graph.yaml"))
    assert longest_chain(tmp_path / "graph.yaml") == pods


def test_the_pipeline_does_side_by_side_what_need_not_wait(tmp_path: Path) -> None:
    """The train split is planned and fetched while the records of eval are written."""
    compiler.Compiler().compile(pipeline(CompileOptions()), str(tmp_path / "fec.yaml"))
    before, a_split, after = 1 + 1 + 2, 2 + 2 * 2, 2 + 2 + 2
    assert longest_chain(tmp_path / "fec.yaml") == before + a_split + 2 + a_split + 2 + 2 + 2 + after
