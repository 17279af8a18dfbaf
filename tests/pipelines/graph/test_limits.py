"""The engine's limits hold for the largest run, 2,000 + 200 shards in as many groups as there may be."""

from pathlib import Path
from typing import Any, List  # noqa: UP035  # as kfp reads it

import pytest
from kfp import compiler, dsl

from fec.errors import ConfigurationError
from fec.layout import MAX_GROUPS
from pipelines.graph import limits
from pipelines.pipeline import fec

MAX_FILE_BYTES = 64 << 10


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def step(group: str) -> str:
    return group


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def groups() -> List[str]:  # noqa: UP006
    return ["0/1"]


@dsl.pipeline(name="loop")
def loop() -> None:
    """A task, and a loop of two tasks an iteration."""
    with dsl.ParallelFor(groups().output, parallelism=7) as group:
        first = step(group=group)
        step(group=first.output)


def compiled(pipeline: Any, folder: Path) -> Path:
    package = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline_func=pipeline, package_path=str(package))
    return package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(fec, tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("iterations", [0, 1, 200])
def test_an_iteration_is_a_pod_and_each_of_its_tasks_two(tmp_path: Path, iterations: int) -> None:
    run, task, loop_itself = 1, 2, 1
    load = limits.load(compiled(loop, tmp_path), iterations)
    assert load.pods == run + task + loop_itself + iterations * (1 + 2 * 2)
    assert load.parallelism == 7


def test_a_list_in_the_compiled_file_counts_as_it_is(tmp_path: Path) -> None:
    @dsl.pipeline(name="fixed")
    def fixed() -> None:
        with dsl.ParallelFor(["0/3", "1/3", "2/3"]) as group:
            step(group=group)

    assert limits.load(compiled(fixed, tmp_path), 200).pods == 1 + 1 + 3 * (1 + 2)


def test_the_largest_run_stays_within_every_limit(package: Path) -> None:
    load = limits.check(package, MAX_GROUPS)
    assert load.file_bytes < MAX_FILE_BYTES
    assert load.argument_bytes < limits.MAX_ARGUMENT_BYTES
    assert load.workflow_bytes < limits.MAX_WORKFLOW_BYTES
    # Two splits of two loops, with two tasks an iteration and one.
    assert load.pods > 2 * MAX_GROUPS * ((1 + 2 * 2) + (1 + 2))


def test_more_groups_than_the_engine_can_bear_are_refused_with_how_many_it_can(package: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        limits.check(package, 1000)
    most = int(str(error.value).split("at most ")[1].split(":")[0])
    assert "1 MiB" in str(error.value)
    assert MAX_GROUPS <= most < 1000
    assert limits.check(package, most)
    with pytest.raises(ConfigurationError):
        limits.check(package, most + 1)


def test_an_argument_that_linux_would_not_take_is_refused(tmp_path: Path) -> None:
    groups = [f"{number}/300 {'x' * 500}" for number in range(300)]

    @dsl.pipeline(name="long")
    def long() -> None:
        with dsl.ParallelFor(groups) as group:
            step(group=group)

    with pytest.raises(ConfigurationError, match="131,072"):
        limits.check(compiled(long, tmp_path), 1)
