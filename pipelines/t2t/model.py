"""The model and hparams ``percep_similarity_triplet_emb`` (and ``..._tiny``) for Tensor2Tensor.

A convolutional tower, global average pooling, a 16-d embedding of unit length, and the two-sided triplet
loss on squared distances of Vemulapalli & Agarwala (CVPR 2019), section 4: margin 0.1 for one-class
triplets, 0.2 for the others.
"""

from __future__ import annotations

from typing import Any

import tensorflow.compat.v1 as tf
from tensor2tensor.layers import common_hparams
from tensor2tensor.utils import registry, t2t_model

from fec.records import IMAGES

MARGIN_ONE_CLASS = 0.1
MARGIN = 0.2


def pair_distances(embeddings: tf.Tensor, odd_one_out: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Squared distances of each triplet's similar pair, and of the odd face to either face of the pair.

    Args:
      embeddings: float [batch, 3, dimensions], the faces a, b, c.
      odd_one_out: int [batch], 1..3.

    Returns:
      Three float [batch].
    """
    # Distances by the face that is left out: bc, ac, ab.
    a, b, c = tf.unstack(embeddings, axis=1)
    left_out = tf.stack([tf.reduce_sum(tf.square(x - y), -1) for x, y in ((b, c), (a, c), (a, b))], axis=1)
    index = tf.cast(odd_one_out, tf.int32) - 1
    pick = [tf.one_hot((index + step) % 3, 3, dtype=left_out.dtype) for step in range(3)]
    similar, first, second = (tf.reduce_sum(left_out * one, axis=1) for one in pick)
    return similar, first, second


def triplet_loss(embeddings: tf.Tensor, odd_one_out: tf.Tensor, triplet_type: tf.Tensor) -> tf.Tensor:
    """The mean two-sided triplet loss; shapes as in ``pair_distances``, ``triplet_type`` int [batch], 1..3."""
    similar, first, second = pair_distances(embeddings, odd_one_out)
    one_class = tf.equal(tf.cast(triplet_type, tf.int32), 1)
    margin = tf.where(one_class, MARGIN_ONE_CLASS * tf.ones_like(similar), MARGIN * tf.ones_like(similar))
    return tf.reduce_mean(tf.nn.relu(similar - first + margin) + tf.nn.relu(similar - second + margin))


def triplet_accuracy(
    predictions: tf.Tensor, labels: tf.Tensor, weights_fn: Any = None, features: Any = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Per triplet 1.0 if the similar pair is strictly the closest, else 0.0, and weights of one."""
    del labels, weights_fn
    similar, first, second = pair_distances(predictions, _flat(features["triplet_code"]))
    right = tf.cast(tf.logical_and(similar < first, similar < second), tf.float32)
    return right, tf.ones_like(right)


def _flat(feature: tf.Tensor) -> tf.Tensor:
    """An integer feature as Tensor2Tensor hands it over (float32, extra dimensions of one) as int32 [batch]."""
    return tf.cast(tf.reshape(feature, [tf.shape(feature)[0]]), tf.int32)


@registry.register_model
class PercepSimilarityTripletEmb(t2t_model.T2TModel):  # type: ignore[misc]
    """Embeds the three faces of a triplet in one call of the tower."""

    def bottom(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Faces go in as pixels: no modality touches them."""
        return dict(features)

    def body(self, features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Embeddings [batch, 3, embedding_size] and the training loss."""
        batch = tf.shape(features[IMAGES[0]])[0]
        faces = tf.concat([features[name] for name in IMAGES], axis=0)
        embedded = self._tower(tf.cast(faces, tf.float32) / 127.5 - 1.0)
        embeddings = tf.transpose(tf.reshape(embedded, [3, batch, self.hparams.embedding_size]), [1, 0, 2])
        loss = triplet_loss(embeddings, _flat(features["triplet_code"]), _flat(features["type"]))
        return embeddings, {"training": loss}

    def _tower(self, faces: tf.Tensor) -> tf.Tensor:
        hidden = faces
        for width in self.hparams.tower_widths:
            for stride in (2, 1):
                hidden = tf.layers.conv2d(hidden, width, 3, strides=stride, padding="same", use_bias=False)
                hidden = tf.layers.batch_normalization(
                    hidden, training=self.hparams.mode == tf.estimator.ModeKeys.TRAIN, momentum=0.9
                )
                hidden = tf.nn.relu(hidden)
        pooled = tf.reduce_mean(hidden, axis=[1, 2])
        return tf.math.l2_normalize(tf.layers.dense(pooled, self.hparams.embedding_size), axis=-1)


@registry.register_hparams
def percep_similarity_triplet_emb() -> Any:
    """224 px and up: five stages."""
    hparams = common_hparams.basic_params1()
    hparams.add_hparam("embedding_size", 16)
    hparams.add_hparam("tower_widths", [32, 64, 128, 256, 512])
    hparams.batch_size = 128
    # Tensor2Tensor fills its buffer of batches before the first step; examples are shuffled before that.
    hparams.batch_shuffle_size = 0
    hparams.optimizer = "adam"
    hparams.learning_rate_schedule = "constant*linear_warmup"
    hparams.learning_rate_constant = 5e-4
    hparams.learning_rate_warmup_steps = 500
    hparams.clip_grad_norm = 1.0
    hparams.weight_decay = 0.0
    return hparams


@registry.register_hparams
def percep_similarity_triplet_emb_tiny() -> Any:
    """64 px, learns on a CPU."""
    hparams = percep_similarity_triplet_emb()
    hparams.tower_widths = [32, 64, 128]
    hparams.batch_size = 30
    hparams.learning_rate_constant = 1e-3
    hparams.learning_rate_warmup_steps = 20
    return hparams
