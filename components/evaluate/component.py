"""The evaluate step as a Kubeflow component."""

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
    batch_size: int = 256,
) -> str:
    """Measure a trained model on the eval split, and tell the whole run on one page.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        run: Name of the trained run, as the train step gave it.
        trained_model: The network of that run.
        triplets: What the records it is measured on were made of.
        report: The run on one page.
        metrics: Triplet accuracy, overall and by type.
        batch_size: Faces embedded at a time.

    Returns:
        The path of the report.
    """
    from components.evaluate import step
    from fec.artifacts import publish_report
    from fec.command import reported

    with reported():
        path = step.run(step.Parameters(root=root, run=run, batch_size=batch_size))
        publish_report(root, run, report, metrics)
        return path
