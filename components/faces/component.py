"""The KFP component of the faces step."""

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def faces(
    root: str,
    split: str,
    group: str = "0/1",
    detector: str = "yunet",
    min_confidence: float = 0.7,
    max_pixels: int = 100_000_000,
    min_crop_size: int = 16,
    crop_quality: int = 95,
    workers: int = 0,
    faced_weights: str = "",
) -> str:
    """Verify faces: cut each published box out of its image, and keep the crops in which a detector finds the face.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: Which shards, as INDEX/COUNT; 0/1 is all of them.
        detector: Face detector: yunet or faced.
        min_confidence: Confidence wanted, on the detector's own scale of 0 to 1.
        max_pixels: Pixels above which an image is not decoded.
        min_crop_size: Pixels a crop must have on its shorter side.
        crop_quality: JPEG quality of the crops, 1 to 100.
        workers: Processes; 0 for one for each core the task may use.
        faced_weights: Folder with face_yolo.pb and face_corrector.pb, for faced.

    Returns:
        The group.
    """
    from components.faces.parameters import Parameters
    from components.faces.step import run
    from fec.command import reported

    with reported():
        return run(
            Parameters(
                root=root,
                split=split,
                group=group,
                detector=detector,
                min_confidence=min_confidence,
                max_pixels=max_pixels,
                min_crop_size=min_crop_size,
                crop_quality=crop_quality,
                workers=workers,
                faced_weights=faced_weights,
            )
        )
