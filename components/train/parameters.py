"""What can be asked of the train step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.train.backbone_names import is_preset, refuse_backbone
from fec.parameters import SEEDS, StepParameters, parameter, refuse_folder_name, root

# Raise when the same records and parameters would give another model.
VERSION: Final = 13

# Known here so that a wrong name is refused before TensorFlow is imported; a test holds it against models.py.
MODELS: Final = ("tiny", "base", "fecnet")
# Those that have a backbone, with the one they have unless told, and the sides of the faces they are made for.
BACKBONES: Final = {"fecnet": "ResNet50"}
IMAGE_SIZES: Final = {"fecnet": 224}
AUTO: Final = "auto"
LIGHT: Final = "light"
STRONG: Final = "strong"
AUGMENTATIONS: Final = ("none", LIGHT, STRONG)
PLAIN: Final = "plain"
SHARED: Final = "shared"
OPTIMIZERS: Final = ("adam", "sgd")
MARGIN: Final = "margin"
LIKELIHOOD: Final = "likelihood"
TENSORFLOW: Final = "tensorflow"
JAX: Final = "jax"
FLOAT32: Final = "float32"
BFLOAT16: Final = "bfloat16"
DEVICES: Final = (AUTO, "cpu", "gpu", "tpu")


@dataclass(frozen=True)
class Parameters(StepParameters, step="train", version=VERSION):
    """What a model depends on, beside its records."""

    root: str = root()
    model: str = parameter(f"the network: {', '.join(MODELS)}", default="tiny", choices=MODELS, promoted=True)
    steps: int = parameter(
        "batches to train on; 0: by the epochs, or by the triplets and the device", default=0, at_least=0, promoted=True
    )
    batch_size: int = parameter("triplets in a batch, over all devices", default=30, at_least=1, promoted=True)
    batches: str = parameter(
        "plain: triplets as they come; shared: such as have faces in common, each face of which is embedded once",
        default=PLAIN,
        choices=(PLAIN, SHARED),
    )
    faces_per_batch: int = parameter(
        "of shared batches: faces embedded a step, over all devices; 0: one and a half a triplet",
        default=0,
        at_least=0,
    )
    learning_rate: float = parameter(
        "at its highest; it falls to zero along a cosine; 0: by the set's size", default=0.0, at_least=0, promoted=True
    )
    seed: int = parameter("of the weights, the batches and the augmentation", default=0, promoted=True, **SEEDS)
    epochs: float = parameter("times each triplet is seen, where steps is 0; 0: as steps says", default=0.0, at_least=0)
    warmup_steps: int = parameter(
        "steps in which the learning rate rises from zero; -1: by the learning rate", default=-1, at_least=-1
    )
    augmentation: str = parameter(
        f"how faces are changed: {', '.join(AUGMENTATIONS)}; auto: by the set's size and the steps",
        default=AUTO,
        choices=(AUTO, *AUGMENTATIONS),
    )
    augmentation_rise: int = parameter(
        "steps in which strong augmentation rises from light; -1: a fifth of them, 500 at most", default=-1, at_least=-1
    )
    image_size: int = parameter(
        "side of the faces that the records must hold; 0: 224 for fecnet, any for the others",
        default=0,
        at_least=0,
        at_most=1024,
    )
    backbone: str = parameter(
        "of fecnet: the name of a network in keras.applications, or the folder (a path, gs:// or s3://) of a preset of "
        "keras-hub; by default ResNet50",
        default="",
        refuse=refuse_backbone,
    )
    backbone_weights: str = parameter(
        "file, gs:// or s3:// address of the backbone's weights; by default it starts untrained",
        default="",
        shapes_result=False,  # what is in the file does
    )
    freeze_until: str = parameter(
        "layer of the backbone up to which it is not trained, or all; by default all of it is trained", default=""
    )
    fine_tune_steps: int = parameter(
        "further batches, after the others, in which layers of the backbone that were frozen are trained too",
        default=0,
        at_least=0,
    )
    fine_tune_rate: float = parameter(
        "learning rate at their beginning; 0: a tenth of the other one", default=0.0, at_least=0
    )
    fine_tune_from: str = parameter(
        "layer of the backbone up to which it stays frozen in them; by default none of it does", default=""
    )
    optimizer: str = parameter(" or ".join(OPTIMIZERS), default="adam", choices=OPTIMIZERS)
    weight_decay: float = parameter("of each step, decoupled from the gradient", default=0.0, at_least=0, at_most=1)
    ema: float = parameter(
        "share of its past that the moving average of the weights, which is then stored, keeps a step; 0: none",
        default=0.0,
        at_least=0,
        at_most=0.99999,
    )
    mirrored: bool = parameter(
        "store a network that embeds a face and its mirror image and averages the two: surer, at twice the cost of use",
        default=False,
    )
    loss: str = parameter(
        "margin: the paper's, on the consensus; likelihood: of all votes", default=MARGIN, choices=(MARGIN, LIKELIHOOD)
    )
    margin_one_class: float = parameter("of the margin loss, one-class triplets", default=0.1, at_least=0)
    margin: float = parameter("of the margin loss, all other triplets", default=0.2, at_least=0)
    weight_by_agreement: bool = parameter("weigh a triplet by the share of votes for its consensus", default=False)
    embedding_size: int = parameter("numbers that a face becomes", default=16, at_least=2, at_most=4096)
    balance_cap: float = parameter(
        "how many times more often than without balance a triplet of a rare type may be seen", default=4.0, at_least=1
    )
    held_out: float = parameter(
        "share of the triplets, at the most, that training gives up for held-out accuracy",
        default=0.1,
        at_least=0,
        at_most=0.5,
    )
    patience: int = parameter(
        "held-out measurements (20 a run) without a better one after which training ends; 0: never",
        default=10,
        at_least=0,
    )
    backend: str = parameter(
        "what Keras calculates with; jax trains on one host, and needs it installed: pip install 'fec[jax]'",
        default=TENSORFLOW,
        choices=(TENSORFLOW, JAX),
    )
    device: str = parameter(
        f"what to train on: {', '.join(DEVICES)}; auto: what there is", default=AUTO, choices=DEVICES
    )
    precision: str = parameter(
        "what the network computes in; auto: bfloat16 on a TPU and on a GPU made for it, else float32",
        default=AUTO,
        choices=(AUTO, FLOAT32, BFLOAT16),
    )
    device_count: int = parameter("devices that must be used; 0: all there are", default=0, at_least=0)
    run: str = parameter(
        "name of the run's folders; by default the model and a fingerprint",
        default="",
        refuse=lambda name: refuse_folder_name(name) if name else "",
        shapes_result=False,
    )
    checkpoint_every: int = parameter("steps between checkpoints", default=50, at_least=1, shapes_result=False)

    @property
    def pretrained(self) -> bool:
        """Whether the backbone begins with weights: those it is given, or its preset's."""
        return bool(self.backbone_weights) or is_preset(self.backbone)
