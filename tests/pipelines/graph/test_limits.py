"""The engine's limits, as they were measured, hold for the largest run: 2,000 + 200 shards in MAX_GROUPS groups."""

from pathlib import Path
from typing import Any, List  # noqa: UP035  # as kfp reads it

import pytest
from kfp import compiler, dsl

from components.form import CLUSTER
from fec.errors import ConfigurationError
from fec.layout import MAX_GROUPS, MAX_RECORD_GROUPS
from pipelines.graph import limits
from pipelines.graph.limits import PLAIN, STOCK, Installation, Pods
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


# Of the pipeline as it was on 2026-11-25 (425f623), run on the real engine: what its pods carried, and what was stored.
MEASURED = [
    (STOCK, Pods(48, 145_226, 78_230), 1_990),
    (STOCK, Pods(138, 387_686, 256_485), 1_820),
    (PLAIN, Pods(38, 118_286, 58_424), 1_340),
]
MEASURED_SPEC = (48_944, 109_600)


@pytest.mark.parametrize(("installation", "pods", "bytes_a_pod"), MEASURED, ids=str)
def test_the_state_is_what_was_measured(installation: Installation, pods: Pods, bytes_a_pod: int) -> None:
    # Of few pods more: what is said once weighs more among them.
    tolerance = 0.02 if pods.number > 100 or installation is PLAIN else 0.12
    assert pods.state_bytes(installation) / pods.number == pytest.approx(bytes_a_pod, rel=tolerance)


def test_the_spec_is_what_was_measured() -> None:
    compiled_bytes, stored = MEASURED_SPEC
    assert limits.SPEC_BYTES * compiled_bytes == pytest.approx(stored, rel=0.01)


def test_the_limits_are_those_of_the_engine_and_of_linux() -> None:
    """Seen: "workflow is longer than maximum allowed size", 1,048,576; MAX_ARG_STRLEN is 32 pages of 4,096."""
    assert (limits.MAX_WORKFLOW_BYTES, limits.MAX_ARGUMENT_BYTES) == (1_048_576, 32 * 4_096)


@pytest.mark.parametrize("iterations", [0, 1, 200])
def test_an_iteration_is_a_pod_and_each_of_its_tasks_two(tmp_path: Path, iterations: int) -> None:
    run, task, loop_itself = 1, 2, 1
    load = limits.load(compiled(loop, tmp_path), iterations)
    assert load.pods == run + task + loop_itself + iterations * (1 + 2 * 2)
    assert load.parallelism == 7


def test_loops_over_one_steps_groups_share_them(tmp_path: Path) -> None:
    @dsl.pipeline(name="two")
    def two() -> None:
        for _ in range(2):
            with dsl.ParallelFor(groups().output) as group:
                step(group=group)

    package = compiled(two, tmp_path)
    # As fec compile writes it, where both refer to one component.
    package.write_text(package.read_text().replace("comp-groups-2", "comp-groups"))
    assert limits.load(package, 10).pods == 1 + 2 * (2 + 1 + 5 * (1 + 2))


def test_a_list_in_the_compiled_file_counts_as_it_is(tmp_path: Path) -> None:
    @dsl.pipeline(name="fixed")
    def fixed() -> None:
        with dsl.ParallelFor(["0/3", "1/3", "2/3"]) as group:
            step(group=group)

    assert limits.load(compiled(fixed, tmp_path), 200).pods == 1 + 1 + 3 * (1 + 2)


def test_the_largest_run_stays_within_every_limit_on_a_stock_installation(package: Path) -> None:
    load = limits.check(package, MAX_GROUPS, STOCK)
    assert load.file_bytes < MAX_FILE_BYTES
    assert load.argument_bytes < limits.MAX_ARGUMENT_BYTES
    # Shards in groups of two tasks, records of both splits in groups of one.
    assert load.pods > MAX_GROUPS * (1 + 2 * 2) + 2 * MAX_RECORD_GROUPS * (1 + 2)


def test_sixty_groups_of_train_with_theirs_of_eval_leave_a_sixth_free_on_a_stock_installation(package: Path) -> None:
    load = limits.load(package, 66, STOCK)
    assert load.spec_bytes + load.state_bytes < 0.85 * limits.MAX_WORKFLOW_BYTES


def test_the_default_has_room_for_an_attempt_in_ten_that_fails(package: Path) -> None:
    load = limits.load(package, CLUSTER.max_groups, STOCK)
    failed = load.workflow_bytes - load.spec_bytes - load.state_bytes
    assert failed == pytest.approx(0.1 * load.state_bytes, rel=0.01)
    assert load.workflow_bytes < 0.85 * limits.MAX_WORKFLOW_BYTES


def test_more_fits_where_nodes_are_not_doubled(package: Path) -> None:
    assert limits.most(package, 1000, PLAIN) > limits.most(package, 1000, STOCK) >= MAX_GROUPS


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
