"""The evaluate step as a Kubeflow component."""

from typing import Any, Dict  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def evaluate(
    root: str,
    run: str,
    trained_model: dsl.Input[dsl.Model],
    triplets: dsl.Input[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    options: Dict[str, Any] = {},  # noqa: UP006
) -> str:
    """Measure a trained model on the eval split, and tell the whole run on one page.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        run: Name of the trained run, as the train step gave it.
        trained_model: The network of that run.
        triplets: What the records it is measured on were made of.
        report: The run on one page.
        metrics: Triplet accuracy, overall and by type.
        options: Further options of all steps, by step: {"evaluate": {...}}.

    Returns:
        The path of the report.
    """
    from components.evaluate import step
    from fec.artifacts import publish_report
    from fec.command import performed

    return performed(
        step.run,
        step.Parameters,
        options,
        publish=lambda path: publish_report(root, run, report, metrics),
        root=root,
        run=run,
    )
