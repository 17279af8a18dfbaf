"""The KFP component of the faces step."""

from typing import Any, Dict  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def faces(
    root: str,
    split: str,
    group: str = "0/1",
    detector: str = "yunet",
    min_confidence: float = 0.0,
    detector_weights: str = "",
    options: Dict[str, Any] = {},  # noqa: UP006
) -> str:
    """Verify faces: cut each published box out of its image, and keep the crops in which a detector finds the face.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        split: train or eval.
        group: Which shards, as INDEX/COUNT; 0/1 is all of them.
        detector: Face detector: yunet or faced.
        min_confidence: Confidence wanted, on the detector's own scale of 0 to 1.
        detector_weights: Folder with face_yolo.pb and face_corrector.pb, for faced.
        options: Further options of all steps, by step: {"faces": {...}}.

    Returns:
        The group.
    """
    from components.faces import step
    from fec.command import performed

    return performed(
        step.run,
        step.Parameters,
        options,
        root=root,
        split=split,
        group=group,
        detector=detector,
        min_confidence=min_confidence,
        detector_weights=detector_weights,
    )
