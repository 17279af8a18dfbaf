"""The datagen step as a Kubeflow component."""

from typing import Any, Dict  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def datagen(
    root: str,
    split: str,
    group: str = "0/1",
    image_size: int = 64,
    options: Dict[str, Any] = {},  # noqa: UP006
) -> str:
    """Write the TFRecord files of a group of record shards.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: The record shards to write, INDEX/COUNT; 0/1 is all of them.
        image_size: Side of the square faces in the records, pixels.
        options: Further options of all steps, by step: {"datagen": {...}}.

    Returns:
        The group.
    """
    from components.datagen import step
    from fec.command import performed

    return performed(step.run, step.Parameters, options, root=root, split=split, group=group, image_size=image_size)
