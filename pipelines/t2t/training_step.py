"""Train with the real t2t-trainer on the records, and go on where a killed training stopped."""

from __future__ import annotations

from fec import identity, layout
from fec.command import main
from fec.done import finished
from fec.layout import SPLITS
from fec.record_files import record_files
from fec.storage import open_storage
from pipelines.t2t.training_parameters import Parameters, check

__all__ = ["Parameters", "run"]


def run(parameters: Parameters) -> str:
    """Train and evaluate, unless this very training is done; returns the run's name.

    Raises ConfigurationError for values that make no sense or without Tensor2Tensor, and RunFailed if a record file
    is missing or spoiled or t2t-trainer fails.
    """
    p = parameters
    check(p)
    storage = open_storage(p.root)
    records = {split: record_files(storage, split, p.problem) for split in SPLITS}
    fingerprint = identity.fingerprint(
        {
            "step": "t2t_train",
            "records": {split: list(files.digests) for split, files in records.items()},
            "problem": p.problem,
            "hparams_set": p.hparams_set,
            "train_steps": p.train_steps,
            "eval_steps": p.eval_steps,
            "seed": p.seed,
        }
    )
    name = p.run or f"t2t-{fingerprint[:8]}"
    if finished(storage, layout.model_dir(name), fingerprint) is None:
        from pipelines.t2t.training import train

        train(storage, p, records, name, fingerprint)
    return name


if __name__ == "__main__":
    main(
        Parameters,
        run,
        "python -m pipelines.t2t.training_step",
        "Train with the real t2t-trainer on the records.",
    )
