"""Definitions that are equal are merged, and only those."""

from typing import Any, List  # noqa: UP035  # as kfp reads it

from kfp import dsl, kubernetes

from pipelines.graph.definitions import CHANNEL, deduplicate, shorten_channels


@dsl.component(base_image="python:3.11")
def double(number: int) -> int:
    return 2 * number


@dsl.component(base_image="python:3.11")
def negate(number: int) -> int:
    return -number


def with_uses(*timeouts: int) -> Any:
    """A pipeline that uses a sub-pipeline with each of these time-outs.

    The time-outs are set afterwards: kfp 2.17 mixes up what two uses of a sub-pipeline set differently.
    """

    @dsl.pipeline(name="minus-twice")
    def minus_twice(number: int) -> int:
        first = double(number=number)
        kubernetes.set_timeout(first, 1)
        return negate(number=first.output).output  # type: ignore[no-any-return]

    @dsl.pipeline(name="whole")
    def whole() -> None:
        for number in range(len(timeouts)):
            minus_twice(number=number)

    settings = whole.platform_spec.platforms["kubernetes"].deployment_spec.executors
    for number, seconds in enumerate(timeouts, start=1):
        settings["exec-double" if number == 1 else f"exec-double-{number}"]["activeDeadlineSeconds"] = str(seconds)
    return whole


def names(pipeline: Any) -> tuple[list[str], list[str]]:
    spec = pipeline.pipeline_spec
    return sorted(spec.components), sorted(spec.deployment_spec["executors"].keys())


def test_equal_definitions_become_one_that_every_task_refers_to() -> None:
    pipeline = with_uses(60, 60)
    assert len(names(pipeline)[1]) == 4
    deduplicate(pipeline)
    components, executors = names(pipeline)
    assert (len(executors), components) == (2, ["comp-double", "comp-minus-twice", "comp-negate"])
    tasks = pipeline.pipeline_spec.root.dag.tasks
    assert [tasks[name].component_ref.name for name in sorted(tasks)] == ["comp-minus-twice", "comp-minus-twice"]
    assert list(pipeline.platform_spec.platforms["kubernetes"].deployment_spec.executors) == ["exec-double"]


def test_what_the_platform_treats_differently_stays_apart() -> None:
    pipeline = deduplicate(with_uses(60, 90))
    settings = pipeline.platform_spec.platforms["kubernetes"].deployment_spec.executors
    assert sorted(int(value["activeDeadlineSeconds"]) for value in settings.values()) == [60, 90]
    assert len(names(pipeline)[1]) == 3


def test_every_reference_leads_somewhere() -> None:
    spec = deduplicate(with_uses(60, 90, 60)).pipeline_spec
    executors = spec.deployment_spec["executors"].keys()
    for component in [spec.root, *spec.components.values()]:
        assert not component.executor_label or component.executor_label in executors
        assert all(task.component_ref.name in spec.components for task in component.dag.tasks.values())


@dsl.component(base_image="python:3.11")
def numbers() -> List[str]:  # noqa: UP006
    return ["1"]


@dsl.component(base_image="python:3.11")
def both(number: str, other: str) -> str:
    return number + other


def test_a_parameter_has_one_name_in_every_graph_and_a_placeholder_keeps_its_prefix() -> None:
    @dsl.pipeline(name="shortened")
    def shortened(other: str, memory: str, labels: dict) -> None:  # type: ignore[type-arg]
        with dsl.ParallelFor(numbers().output) as number:
            task = both(number=number, other=other).set_memory_limit(memory)
            task.register_pipeline_channels([memory])
            kubernetes.add_node_selector_json(task, labels)

    spec = shorten_channels(deduplicate(shortened)).pipeline_spec
    loop = spec.components["comp-for-loop-1"]
    assert {"other", "memory", "labels"} < set(loop.input_definitions.parameters)
    assert all(
        value.component_input_parameter in loop.input_definitions.parameters
        for value in loop.dag.tasks["both"].inputs.parameters.values()
    )
    assert loop.dag.tasks["both"].inputs.parameters[f"{CHANNEL}memory"].component_input_parameter == "memory"
    resources = spec.deployment_spec["executors"]["exec-both"]["container"]["resources"]
    assert resources["resourceMemoryLimit"] == f"{{{{$.inputs.parameters['{CHANNEL}memory']}}}}"
    iterator = spec.root.dag.tasks["for-loop-1"].parameter_iterator
    assert iterator.item_input.startswith(CHANNEL)
    selector = shortened.platform_spec.platforms["kubernetes"].deployment_spec.executors["exec-both"]["nodeSelector"]
    assert selector["nodeSelectorJson"]["componentInputParameter"] == "labels"
