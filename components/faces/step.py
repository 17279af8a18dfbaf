"""Verify faces: cut each published box out of its image, and keep the crops in which a detector finds the face."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from fec import identity, layout
from fec.command import parameter
from fec.done import Done, finished, read_done, write_done
from fec.errors import ConfigurationError, RunFailed
from fec.storage import Storage, open_storage

# Raise when the same parameters and originals come out differently, so that everything is made again.
VERSION: Final = 1


@dataclass(frozen=True)
class Parameters:
    """What a face must meet to be kept."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    split: str = parameter(help="train or eval")
    group: str = parameter(help="which shards, as INDEX/COUNT; 0/1 is all of them", default="0/1")
    detector: str = parameter(help="face detector: yunet or faced", default="yunet")
    min_confidence: float = parameter(help="confidence wanted, on the detector's own scale of 0 to 1", default=0.7)
    max_pixels: int = parameter(help="pixels above which an image is not decoded", default=100_000_000)
    min_crop_size: int = parameter(help="pixels a crop must have on its shorter side", default=16)
    crop_quality: int = parameter(help="JPEG quality of the crops, 1 to 100", default=95)
    workers: int = parameter(help="processes; 0: one for each core this process may use", default=0)
    faced_weights: str = parameter(help="folder with face_yolo.pb and face_corrector.pb, for faced", default="")


@dataclass(frozen=True)
class Pending:
    """A shard to verify: the digest of its originals, and what stands for plan, originals and parameters together."""

    shard: int
    originals: str
    inputs: str


def run(parameters: Parameters) -> str:
    """Verify every face of the group's shards; the group.

    Raises ConfigurationError for parameters out of range and missing weights, RunFailed where the plan or the
    originals are not there.
    """
    _check(parameters)
    storage = open_storage(parameters.root)
    plan = read_done(storage, layout.plan_dir(parameters.split))
    if plan is None:
        raise RunFailed(f"{parameters.root} has no plan of the {parameters.split} split: run plan first")
    pending: list[Pending] = []
    for number in layout.Group.parse(parameters.group).of(int(plan.details["num_shards"])):
        download = read_done(storage, layout.images_dir(parameters.split, number))
        if download is None:
            raise RunFailed(f"the images of {parameters.split} shard {number} are not stored yet: run download first")
        inputs = {"plan": plan.digest, "download": download.digest} | _settings(parameters)
        known = identity.fingerprint(inputs)
        done = read_done(storage, layout.faces_dir(parameters.split, number))
        if done is None or done.details.get("inputs") != known:
            pending.append(Pending(number, download.digest, known))
    if pending:
        _verify(storage, parameters, pending)
    return parameters.group


def _check(parameters: Parameters) -> None:
    from components.faces.detectors import NAMES

    p = parameters
    for ok, name, expected in (
        (p.detector in NAMES, "detector", f"one of {', '.join(NAMES)}"),
        (0 <= p.min_confidence <= 1, "min_confidence", "between 0 and 1"),
        (p.max_pixels >= 1, "max_pixels", "at least 1"),
        (p.min_crop_size >= 1, "min_crop_size", "at least 1"),
        (1 <= p.crop_quality <= 100, "crop_quality", "between 1 and 100"),
        (p.workers >= 0, "workers", "0 (one a core) or more"),
    ):
        if not ok:
            raise ConfigurationError(f"{name} {getattr(p, name)!r}: expected {expected}")


def _settings(parameters: Parameters) -> dict[str, Any]:
    """The parameters that what is written depends on."""
    return {
        "step": "faces",
        "version": VERSION,
        "detector": parameters.detector,
        "min_confidence": parameters.min_confidence,
        "max_pixels": parameters.max_pixels,
        "min_crop_size": parameters.min_crop_size,
        "crop_quality": parameters.crop_quality,
    }


def _verify(storage: Storage, parameters: Parameters, pending: list[Pending]) -> None:
    """Verify the pending shards, but for those in which another plan has left the very same faces."""
    from components.faces import shard as shards
    from components.faces.verification import Criteria
    from components.faces.verifiers import Setup, Verifiers
    from fec.progress import task_name, track

    p = parameters
    setup = Setup(
        p.detector, p.faced_weights, Criteria(p.min_confidence, p.max_pixels, p.min_crop_size, p.crop_quality)
    )
    planned = shards.planned_faces(storage, p.split, [item.shard for item in pending])
    work: list[tuple[Pending, str]] = []
    for item in pending:
        faces = identity.fingerprint({"faces": [astuple(face) for face in planned[item.shard]]})
        fingerprint = identity.fingerprint({"faces": faces, "download": item.originals} | _settings(p))
        directory = layout.faces_dir(p.split, item.shard)
        done = finished(storage, directory, fingerprint)
        if done is None:
            work.append((item, fingerprint))
        else:
            write_done(storage, directory, replace(done, details={**done.details, "inputs": item.inputs}))
    if not work:
        return

    faces_total = sum(len(planned[item.shard]) for item, _ in work)
    images_total = sum(len({face.image_id for face in planned[item.shard]}) for item, _ in work)
    task = task_name("faces", p.split, p.group)
    with Verifiers(setup, p.workers, images_total) as verifiers, track(task, faces_total, "faces") as progress:
        for item, fingerprint in work:
            result = shards.verify(storage, p.split, item.shard, planned[item.shard], fingerprint, verifiers, progress)
            details = {"inputs": item.inputs, "table_sha256": result.table_sha256}
            done = Done("faces", fingerprint, result.digest, result.counts, details)
            write_done(storage, layout.faces_dir(p.split, item.shard), done)
            storage.remove_workspace(layout.faces_dir(p.split, item.shard))
