"""The two-sided triplet loss of Vemulapalli & Agarwala (CVPR 2019, section 4), that of all votes, and the accuracy.

Everything is in ``keras.ops``, so that it runs on any Keras backend.
"""

from __future__ import annotations

from typing import Any, Final

from keras import ops

from components.train.parameters import LIKELIHOOD, Parameters

# Squared distance of unit vectors at which the odds of a likelihood change by e.
TEMPERATURE: Final = 0.2

Tensor = Any


def pair_distances(embeddings: Tensor, odd_one_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared L2 distances within each triplet.

    Args:
        embeddings: float [batch, 3, dimensions], the faces a, b, c.
        odd_one_out: int [batch], 1..3: the face least like the other two.

    Returns:
        Three float [batch]: of the similar pair, and of the odd face to the one and to the other of the pair.
    """
    a, b, c = (embeddings[:, face] for face in range(3))
    # By the face that is left out: bc, ac, ab. The similar pair is the one that leaves out the odd face.
    left_out = ops.stack([ops.sum(ops.square(x - y), axis=-1) for x, y in ((b, c), (a, c), (a, b))], axis=1)
    index = ops.cast(odd_one_out, "int32") - 1
    similar, one, other = (
        ops.sum(left_out * ops.one_hot((index + turn) % 3, 3, dtype=left_out.dtype), axis=1) for turn in range(3)
    )
    return similar, one, other


def margin_loss(
    embeddings: Tensor, odd_one_out: Tensor, triplet_type: Tensor, margin_one_class: float, margin: float
) -> Tensor:
    """The paper's loss of each triplet, float [batch]; ``triplet_type`` int [batch], 1..3 (1: one-class)."""
    similar, one, other = pair_distances(embeddings, odd_one_out)
    margins = ops.where(ops.equal(ops.cast(triplet_type, "int32"), 1), margin_one_class, margin)
    margins = ops.cast(margins, similar.dtype)
    return ops.relu(similar - one + margins) + ops.relu(similar - other + margins)


def likelihood_loss(embeddings: Tensor, votes: Tensor) -> Tensor:
    """Minus the mean log likelihood of each triplet's votes, float [batch].

    ``votes`` [batch, 3] counts those for a, b and c. The model votes for a face by the distance of the other two: the
    odds of two faces are e to the difference of those, over TEMPERATURE.
    """
    a, b, c = (embeddings[:, face] for face in range(3))
    left_out = ops.stack([ops.sum(ops.square(x - y), axis=-1) for x, y in ((b, c), (a, c), (a, b))], axis=1)
    likely = ops.log_softmax(-left_out / TEMPERATURE, axis=1)
    given = ops.cast(votes, likely.dtype)
    return -ops.sum(given * likely, axis=1) / ops.maximum(ops.sum(given, axis=1), 1.0)


def agreement(odd_one_out: Tensor, votes: Tensor) -> Tensor:
    """The share of each triplet's ``votes`` [batch, 3] that its consensus has, float [batch]."""
    given = ops.cast(votes, "float32")
    chosen = ops.one_hot(ops.cast(odd_one_out, "int32") - 1, 3, dtype="float32")
    return ops.sum(given * chosen, axis=1) / ops.maximum(ops.sum(given, axis=1), 1.0)


def triplet_accuracy(embeddings: Tensor, odd_one_out: Tensor) -> Tensor:
    """1.0 for each triplet whose similar pair is strictly the closest, else 0.0: float [batch].

    A tie is wrong, so a model that maps every face to one point scores 0, not 100 %.
    """
    similar, one, other = pair_distances(embeddings, odd_one_out)
    return ops.cast(ops.logical_and(similar < one, similar < other), "float32")


def batch_figures(p: Parameters, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of a batch or a part of one: loss, triplets that are right, and those short of their margin (active).

    Each is a sum over the triplets as a share of the whole batch: those of its parts add up. ``labels`` are as the
    input pipeline gives them.
    """
    odd, votes = labels[:, 0], labels[:, 2:]
    short = margin_loss(embeddings, odd, labels[:, 1], p.margin_one_class, p.margin)
    losses = likelihood_loss(embeddings, votes) if p.loss == LIKELIHOOD else short
    if p.weight_by_agreement:
        losses = losses * agreement(odd, votes)
    each = (losses, triplet_accuracy(embeddings, odd), ops.cast(short > 0, "float32"))
    loss, right, active = (ops.sum(values) / p.batch_size for values in each)
    return loss, right, active
