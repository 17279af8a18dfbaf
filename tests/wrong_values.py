"""Values of the run's form that an engine or a step would refuse, and what a user is told of each.

Every one is refused by ``fec submit`` before anything is sent, and on the engine by the first task, for those who come
by Kubeflow's form.
"""

from __future__ import annotations

from typing import Final

GOOD: Final = ("root=gs://bucket/fec", "train_csv=gs://bucket/train.csv", "eval_csv=gs://bucket/eval.csv")

# NAME=VALUE words, and words of the one line.
WRONG: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    # Numbers and names of the steps.
    (("max_groups=2000",), ("max_groups 2000", "1 MiB", "several shards")),
    (("max_groups=0",), ("max_groups 0", "1 to 80")),
    (("max_groups=-3",), ("max_groups -3", "1 to 80")),
    (("num_train_shards=0",), ("num_train_shards 0", "1 and 100,000")),
    (("num_eval_shards=-1",), ("num_eval_shards -1", "1 and 100,000")),
    (("num_train_shards=1000000000",), ("num_train_shards", "100,000")),
    (("max_shards=-1",), ("max_shards -1", "at least 0")),
    (("requests_per_second=0",), ("requests_per_second 0", "above 0")),
    (("requests_per_second=-20",), ("requests_per_second -20", "above 0")),
    (("retry_transient_after=-1",), ("retry_transient_after -1", "at least 0")),
    (('allow_network=["300.0.0.0/8"]',), ("allow_network", "300.0.0.0", "CIDR")),
    (("detector=yolo",), ("detector 'yolo'", "yunet")),
    (("detector=yunett",), ("did you mean yunet?",)),
    (("detector=",), ("detector ''", "yunet")),
    (("detector=yunet+faced+none",), ("detector", "two as")),
    (
        ("detector=faced", "detector_weights=gs://bucket/faced", "data_image=ghcr.io/me/fec-data:v1"),
        ("fec-data has no TensorFlow", "fec-data-faced has"),
    ),
    (("detector=faced",), ("detector 'faced'", "detector_weights")),
    (("detector=yunet+faced",), ("detector 'faced'", "detector_weights")),
    (("detector_weights=gs://bucket/weights",), ("detector_weights", "detector=faced")),
    (("min_confidence=7",), ("min_confidence 7", "between 0 and 1")),
    (("min_confidence=-0.1",), ("min_confidence -0.1", "between 0 and 1")),
    (("image_size=4",), ("image_size 4", "between 8 and 1,024")),
    (("model=huge",), ("model 'huge'", "tiny")),
    (("model=Tiny",), ("did you mean tiny?",)),
    (("train_steps=-5",), ("train_steps -5", "at least 0")),
    (("batch_size=0",), ("batch_size 0", "at least 1")),
    (("learning_rate=-0.1",), ("learning_rate -0.1", "at least 0")),
    (("seed=99999999999999999999",), ("seed", "64 bits")),
    (('options={"face": {}}',), ("there is no step 'face'; did you mean faces?",)),
    (('options={"faces": {"crop_qualty": 90}}',), ("did you mean crop_quality?",)),
    (('options={"faces": {"crop_quality": "high"}}',), ("crop_quality 'high'", "whole number")),
    (('options={"faces": 3}',), ("options of faces", "an object")),
    (('options={"train": {"optimizer": "sgdd"}}',), ("did you mean sgd?",)),
    (('options={"download": {"archive": "https://web.archive.org/web/2018id_/"}}',), ("archive", "{url} in it")),
    (('options={"download": {"archive": "ftp://archive.example/{url}"}}',), ("archive", "http or https")),
    (('options={"download": {"archive_rate": 0}}',), ("archive_rate 0", "above 0")),
    # What Kubernetes takes.
    (("download_memory=4GB",), ("download_memory '4GB'", "4Gi")),
    (("download_memory=4",), ("download_memory '4'", "4Gi")),
    (("download_memory=4G i",), ("download_memory '4G i'", "4Gi")),
    (("download_memory=4gi",), ("download_memory '4gi'", "4Gi")),
    (("download_memory=",), ("download_memory ''", "4Gi")),
    (("download_memory=0Gi",), ("download_memory '0Gi'", "4Gi")),
    (("faces_memory=64Mi",), ("faces_memory '64Mi'", "at least")),
    (("download_cpu=-1",), ("download_cpu '-1'", "500m")),
    (("download_cpu=0",), ("download_cpu '0'", "500m")),
    (("download_cpu=two",), ("download_cpu 'two'", "500m")),
    (("download_cpu=1Gi",), ("download_cpu '1Gi'", "500m")),
    (("download_cpu=1,5",), ("download_cpu '1,5'", "500m")),
    (("faces_cpu=100m",), ("faces_cpu '100m'", "at least")),
    (('data_node_selector={"a":1}',), ("data_node_selector", "quotes")),
    (('data_node_selector={"a":true}',), ("data_node_selector", "quotes")),
    (('data_node_selector={"a b":"c"}',), ("data_node_selector", "'a b' is no name of a label")),
    (('train_node_selector={"a":"b c"}',), ("train_node_selector", "'b c' is no value of a label")),
    (('data_tolerations=[{"key":"a","operator":"Maybe"}]',), ("data_tolerations", "Maybe")),
    (('data_tolerations=[{"key":"a","effect":"No"}]',), ("data_tolerations", "NoSchedule")),
    (('data_tolerations=[{"kee":"a"}]',), ("data_tolerations", "kee")),
    (('train_tolerations=["a"]',), ("train_tolerations", "expected JSON")),
    (("train_image=",), ("train_image ''", "name of an image")),
    (("train_image=not a name",), ("train_image 'not a name'", "name of an image")),
    (("evaluate_image=GHCR.io/Me/fec-train:v1",), ("evaluate_image", "name of an image")),
    (("evaluate_image=https://ghcr.io/me/fec-train:v1",), ("evaluate_image", "name of an image")),
    (("train_image=ghcr.io/me/fec-train:",), ("train_image", "name of an image")),
    (("train_image=ghcr.io/me/fec-train@sha256:12",), ("train_image", "name of an image")),
    # Accelerators.
    (("accelerator_count=2",), ("accelerator_count 2", "accelerator_type")),
    (("accelerator_type=nvidia.com/gpu",), ("accelerator_type", "accelerator_count")),
    (("accelerator_type=nvidia.com/gpu", "accelerator_count=0"), ("accelerator_type", "accelerator_count")),
    (("accelerator_type=gpu", "accelerator_count=1"), ("accelerator_type 'gpu'", "nvidia.com/gpu")),
    (("accelerator_type=amd.com/gpu", "accelerator_count=1"), ("accelerator_type 'amd.com/gpu'", "nvidia.com/gpu")),
    (("accelerator_count=-1",), ("accelerator_count '-1'", "whole number")),
    (("accelerator_count=1.5",), ("accelerator_count '1.5'", "whole number")),
    (("accelerator_type=google.com/tpu", "accelerator_count=4"), ("fec-train cannot drive it", "fec-train-tpu can")),
    (("accelerator_type=nvidia.com/gpu", "accelerator_count=8", 'options={"train": {"device_count": 4}}'), ("8", "4")),
    (
        (
            "accelerator_type=nvidia.com/gpu",
            "accelerator_count=3",
            'train_node_selector={"cloud.google.com/gke-accelerator": "nvidia-l4"}',
        ),
        ("3 of nvidia-l4", "1, 2, 4, 8"),
    ),
    (
        (
            "accelerator_type=google.com/tpu",
            "accelerator_count=3",
            "train_image=ghcr.io/me/fec-train-tpu:v1",
            'train_node_selector={"cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice", '
            '"cloud.google.com/gke-tpu-topology": "2x2"}',
        ),
        ("3 chips", "ask for 4"),
    ),
    (('options={"train": {"device": "gpu"}}',), ("train.device gpu", "accelerator_type")),
    # Where things are.
    (("root=z",), ("root 'z'", "gs://")),
    (("root=/tmp/z",), ("root '/tmp/z'", "share no folder")),
    (("root=",), ("root ''", "gs://")),
    (("root=gs://",), ("gs://", "no bucket")),
    (("root=gs:///fec",), ("gs:///fec", "no bucket")),
    (("root=s3:/x",), ("root 's3:/x'", "did you mean s3://x?")),
    (("root=gs:bucket/fec",), ("did you mean gs://bucket/fec?",)),
    (("root=hdfs://bucket/fec",), ("hdfs:// is not supported",)),
    (("train_csv=/home/me/train.csv",), ("train_csv '/home/me/train.csv'", "bucket")),
    (("eval_csv=eval.csv",), ("eval_csv 'eval.csv'", "bucket")),
    (("eval_csv=",), ("eval_csv ''", "bucket")),
    (("eval_csv=gs://bucket",), ("eval_csv 'gs://bucket'", "bucket")),
    (("train_csv=ftp://host/train.csv",), ("train_csv 'ftp://host/train.csv'", "bucket")),
)

# What is no value of the parameter's type, or no parameter: Kubeflow's form itself does not take it.
UNREADABLE: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (("max_shard=1",), ("max_shard", "did you mean max_shards?")),
    (("something=1",), ("no parameter 'something'", "it has")),
    (("max_shards=few",), ("max_shards=few", "whole number")),
    (("max_shards=1.5",), ("max_shards=1.5", "whole number")),
    (("min_confidence=nan",), ("min_confidence", "a number")),
    (("learning_rate=inf",), ("learning_rate", "a number")),
    (("allow_network=10.0.0.0/8",), ("allow_network", "JSON list")),
    (("data_tolerations={}",), ("data_tolerations", "JSON list")),
    (("data_node_selector=[]",), ("data_node_selector", "JSON object")),
    (("data_node_selector=spot",), ("data_node_selector", "JSON object")),
    (('options={"faces": ',), ("options", "JSON object")),
    (("options=faces.crop_quality=90",), ("options", "JSON object")),
    (("seed=1", "seed=2"), ("seed", "twice")),
    (("seed",), ("seed", "NAME=VALUE")),
    (("detector=" + "x" * 10_001,), ("detector", "10,000")),
    # The first task's own image and place: its driver would fail.
    (("data_image=",), ("data_image ''", "name of an image")),
    (("data_image=not a name",), ("data_image 'not a name'", "name of an image")),
    (("plan_memory=4GB",), ("plan_memory '4GB'", "4Gi")),
)


def given(words: tuple[str, ...]) -> list[str]:
    """``words`` and what else a run must be given."""
    names = {word.partition("=")[0] for word in words}
    return [*(word for word in GOOD if word.partition("=")[0] not in names), *words]
