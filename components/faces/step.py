"""Verify faces: cut each published box out of its image, and keep the crops in which a detector finds the face."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Final

from components.faces.parameters import Parameters
from fec import identity, layout
from fec.done import Done, finished, read_done, write_done
from fec.errors import RunFailed
from fec.storage import Storage, open_storage

__all__ = ["Parameters", "run"]


# The detail of a marker: extras without which some of the shard's pictures were not decoded.
LACKING: Final = "lacking"


@dataclass(frozen=True)
class Pending:
    """A shard to verify: the digest of its originals, and what stands for plan, originals and parameters together."""

    shard: int
    originals: str
    inputs: str


@dataclass(frozen=True)
class Work:
    """A pending shard, the fingerprint of its result, and that of all but the threshold; the marker that is there."""

    pending: Pending
    fingerprint: str
    basis: str
    before: Done | None


def run(parameters: Parameters) -> str:
    """Verify every face of the group's shards; the group.

    Raises ConfigurationError for parameters out of range and missing weights, RunFailed where the plan or the
    originals are not there.
    """
    storage = open_storage(parameters.root)
    plan = read_done(storage, layout.plan_dir(parameters.split))
    if plan is None:
        raise RunFailed(f"{storage.root} has no plan of the {parameters.split} split: run plan first")
    pending: list[Pending] = []
    for number in layout.Group.parse(parameters.group).of(int(plan.details["num_shards"])):
        download = read_done(storage, layout.images_dir(parameters.split, number))
        if download is None:
            raise RunFailed(f"the images of {parameters.split} shard {number} are not stored yet: run download first")
        inputs = {"plan": plan.digest, "download": download.digest} | parameters.settings
        known = identity.fingerprint(inputs)
        done = read_done(storage, layout.faces_dir(parameters.split, number))
        if done is None or done.details.get("inputs") != known or _now_decoded(done):
            pending.append(Pending(number, download.digest, known))
    if pending:
        _verify(storage, parameters, pending)
    return parameters.group


def _now_decoded(done: Done) -> bool:
    """Whether pictures were passed over for want of a decoder that is there now."""
    lacked = done.details.get(LACKING)
    if not lacked:
        return False
    from fec.codecs import extras

    return any(extras.is_installed(name) for name in lacked)


def _verify(storage: Storage, parameters: Parameters, pending: list[Pending]) -> None:
    """Verify the pending shards, but for those in which another plan has left the very same faces."""
    from components.faces import work as shards
    from components.faces.detectors.weights import local_weights
    from components.faces.rejudging import BASIS, THRESHOLD, earlier
    from components.faces.verifiers import Setup, Verifiers
    from fec.progress import task_name, track

    p = parameters
    planned = shards.planned_faces(storage, p.split, [item.shard for item in pending])
    work: list[Work] = []
    other = {name: value for name, value in p.settings.items() if name != "min_confidence"}
    for item in pending:
        faces = identity.fingerprint({"faces": [astuple(face) for face in planned[item.shard]]})
        given = {"faces": faces, "download": item.originals}
        fingerprint = identity.fingerprint(given | p.settings)
        directory = layout.faces_dir(p.split, item.shard)
        done = finished(storage, directory, fingerprint)
        if done is None or _now_decoded(done):
            before = read_done(storage, directory)
            work.append(Work(item, fingerprint, identity.fingerprint(given | other), before))
        else:
            write_done(storage, directory, replace(done, details={**done.details, "inputs": item.inputs}))
    if not work:
        return

    faces_total = sum(len(planned[item.pending.shard]) for item in work)
    images_total = sum(len({face.image_id for face in planned[item.pending.shard]}) for item in work)
    task = task_name("faces", p.split, p.group)
    with (
        local_weights(p.detector_weights) as weights,
        Verifiers(Setup(p, weights), p.workers, images_total) as verifiers,
        track(task, faces_total, "faces") as progress,
    ):
        for todo in work:
            shard, directory = todo.pending.shard, layout.faces_dir(p.split, todo.pending.shard)
            # A rejected crop that is to be kept is one of the picture's, not of what is stored of it.
            known = None if p.keep_rejected else earlier(storage, directory, todo.before, todo.basis)
            result = shards.verify(
                storage, p.split, shard, planned[shard], todo.fingerprint, verifiers, progress, known
            )
            details = {
                "inputs": todo.pending.inputs,
                "table_sha256": result.table_sha256,
                BASIS: todo.basis,
                THRESHOLD: verifiers.threshold,
                LACKING: list(result.lacking),
                "settings": p.settings,
            }
            write_done(storage, directory, Done("faces", todo.fingerprint, result.digest, result.counts, details))
            storage.remove_workspace(directory)
