"""What can be asked of the training by t2t-trainer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError
from fec.parameters import parameter
from fec.presets import PRESETS, preset_named

MODEL: Final = "percep_similarity_triplet_emb"
# Known here so that a wrong name is refused before TensorFlow is imported.
HPARAMS_SETS: Final = (f"{MODEL}_tiny", MODEL)
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Parameters:
    """What a model depends on, beside its records."""

    root: str = parameter(help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    problem: str = parameter(help=f"whose records: {' or '.join(PRESETS)}", default="fec_base")
    hparams_set: str = parameter(help=f"of the model: {' or '.join(HPARAMS_SETS)}", default=HPARAMS_SETS[0])
    train_steps: int = parameter(help="batches to train on", default=200)
    eval_steps: int = parameter(help="batches of dev records to evaluate on; 0: all there are", default=0)
    seed: int = parameter(help="of the weights", default=0)
    run: str = parameter(help="name of the run's folders; by default t2t and a fingerprint", default="")
    checkpoint_every: int = parameter(help="steps between checkpoints", default=100)


def check(parameters: Parameters) -> None:
    """Raise ConfigurationError for values that make no sense."""
    p = parameters
    preset_named(p.problem)
    for ok, name, expected in (
        (p.hparams_set in HPARAMS_SETS, "hparams_set", f"one of {', '.join(HPARAMS_SETS)}"),
        (p.train_steps >= 1, "train_steps", "1 or more"),
        (p.eval_steps >= 0, "eval_steps", "0 (all) or more"),
        (-(2**63) <= p.seed < 2**63, "seed", "a number of 64 bits"),
        (p.checkpoint_every >= 1, "checkpoint_every", "1 or more"),
        (not p.run or _RUN.fullmatch(p.run), "run", "the name of a folder, of letters, digits, '.', '_' and '-'"),
    ):
        if not ok:
            raise ConfigurationError(f"{name} {getattr(p, name)!r}: expected {expected}")
