"""The datagen step as a Kubeflow component."""

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def datagen(
    root: str,
    split: str,
    group: str = "0/1",
    image_size: int = 64,
    jpeg_quality: int = 90,
    layout: str = "triplets",
    preset: str = "fec_base",
    workers: int = 0,
) -> str:
    """Write the TFRecord files of a group of record shards.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: The record shards to write, INDEX/COUNT; 0/1 is all of them.
        image_size: Side of the square faces in the records, pixels.
        jpeg_quality: Of the faces in the records, 1 to 100.
        layout: triplets (each example holds its faces), faces (each face once, triplets as ids) or both.
        preset: fec_base (all triplets) or fec_tiny (a sample).
        workers: Threads that encode faces; 0 is one a core, more for a bucket.

    Returns:
        The group.
    """
    from components.datagen.parameters import Parameters
    from components.datagen.step import run
    from fec.command import reported

    with reported():
        return run(
            Parameters(
                root=root,
                split=split,
                group=group,
                image_size=image_size,
                jpeg_quality=jpeg_quality,
                layout=layout,
                preset=preset,
                workers=workers,
            )
        )
