"""What can be asked of the train step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fec.parameters import SEEDS, StepParameters, parameter, refuse_folder_name, root

# Raise when the same records and parameters would give another model.
VERSION: Final = 1

# Known here so that a wrong name is refused before TensorFlow is imported; a test holds it against models.py.
MODELS: Final = ("tiny",)


@dataclass(frozen=True)
class Parameters(StepParameters, step="train", version=VERSION):
    """What a model depends on, beside its records."""

    root: str = root()
    model: str = parameter(f"the network: {', '.join(MODELS)}", default="tiny", choices=MODELS, promoted=True)
    steps: int = parameter("batches to train on", default=200, at_least=1, promoted=True)
    batch_size: int = parameter("triplets in a batch", default=30, at_least=1, promoted=True)
    learning_rate: float = parameter(
        "at the start; it falls to zero along a cosine", default=1e-3, more_than=0, promoted=True
    )
    seed: int = parameter("of the weights, the batches and the augmentation", default=0, promoted=True, **SEEDS)
    run: str = parameter(
        "name of the run's folders; by default the model and a fingerprint",
        default="",
        refuse=lambda name: refuse_folder_name(name) if name else "",
        shapes_result=False,
    )
    checkpoint_every: int = parameter("steps between checkpoints", default=50, at_least=1, shapes_result=False)
