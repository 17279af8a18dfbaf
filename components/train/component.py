"""The train step as a Kubeflow component."""

from typing import Any, Dict  # noqa: UP035 - what kfp reads in a signature

from kfp import dsl

from fec.images import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def train(
    root: str,
    triplets: dsl.Input[dsl.Dataset],
    trained_model: dsl.Output[dsl.Model],
    training_metrics: dsl.Output[dsl.Metrics],
    model: str = "tiny",
    steps: int = 0,
    batch_size: int = 30,
    learning_rate: float = 0.0,
    seed: int = 0,
    options: Dict[str, Any] = {},  # noqa: UP006
) -> str:
    """Train an embedding on the records, and go on where a killed training stopped.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        triplets: What the records were made of.
        trained_model: The network, as model.keras.
        training_metrics: Loss and triplet accuracy at the end of training.
        model: The network: tiny, base or fecnet.
        steps: Batches to train on; 0: by the triplets and the device.
        batch_size: Triplets in a batch, over all devices.
        learning_rate: At its highest; it falls to zero along a cosine; 0: by the set's size.
        seed: Of the weights, the batches and the augmentation.
        options: Further options of all steps, by step: {"train": {...}}.

    Returns:
        The run's name.
    """
    from components.placement import booked
    from components.train import step
    from components.train.artifacts import publish_model
    from fec.command import engine_inputs, performed

    return performed(
        step.run,
        step.Parameters,
        {"train": booked(engine_inputs()) | options.get("train", {})},
        publish=lambda name: publish_model(root, name, trained_model, training_metrics),
        root=root,
        model=model,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
