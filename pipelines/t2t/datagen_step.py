"""Make the records of a Tensor2Tensor Problem with the real t2t-datagen, unless they are there."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

from fec import layout
from fec.command import main
from fec.done import read_done
from fec.errors import ConfigurationError, RunFailed
from fec.layout import SPLITS
from fec.parameters import parameter
from fec.presets import PRESETS, preset_named
from fec.record_files import record_files
from fec.storage import Storage, open_storage


@dataclass(frozen=True)
class Parameters:
    """What the records of a Problem depend on, beside what was collected."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    problem: str = parameter(help=f"the Problem, {' or '.join(PRESETS)}: all triplets, or a sample", default="fec_base")
    image_size: int = parameter(help="side of the square faces in the records, pixels", default=64)


def run(parameters: Parameters) -> str:
    """Have ``records/<problem>-{train,dev}-*`` made as the datagen step makes them; returns the problem.

    Records that are there, whole and of the present collection, stay as they are. Raises ConfigurationError for
    values that make no sense, for a root without a plan or without Tensor2Tensor, and RunFailed if a step before it
    is missing or t2t-datagen fails.
    """
    p = parameters
    preset_named(p.problem)
    if not 8 <= p.image_size <= 1024:
        raise ConfigurationError(f"image_size {p.image_size}: expected 8 to 1024 pixels")
    storage = open_storage(p.root)
    for split in SPLITS:
        if read_done(storage, layout.plan_dir(split)) is None:
            raise ConfigurationError(f"{storage.root} has no finished plan of {split}: run the plan step first")
    if not all(_made(storage, split, p) for split in SPLITS):
        from pipelines.t2t import programs
        from pipelines.t2t.environment import IMAGE_SIZE, ROOT

        with tempfile.TemporaryDirectory() as nothing:
            flags = [f"--problem={p.problem}", f"--data_dir={nothing}", f"--tmp_dir={nothing}"]
            programs.watch(programs.DATAGEN, flags, {ROOT: storage.root, IMAGE_SIZE: str(p.image_size)})
        for split in SPLITS:
            record_files(storage, split, p.problem)
    return p.problem


def _made(storage: Storage, split: str, parameters: Parameters) -> bool:
    """Whether the split's records are there, all of them, with faces of that size."""
    try:
        return record_files(storage, split, parameters.problem).image_size == parameters.image_size
    except RunFailed:
        return False


if __name__ == "__main__":
    main(
        Parameters,
        run,
        "python -m pipelines.t2t.datagen_step",
        "Make the records of a Tensor2Tensor Problem with the real t2t-datagen.",
    )
