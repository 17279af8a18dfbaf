"""``fec export``: a model, or a dataset, in a form that another library reads."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Write a trained model, or the surviving faces and triplets of a root, in a form that other libraries read."

MODELS = ("savedmodel", "litert", "onnx", "torch-onnx")
DATASETS = ("parquet", "webdataset", "imagefolder", "tfds")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="MODEL|ROOT", help="a model (ROOT/models/RUN, a .keras file), or a storage root of a dataset"
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="FORMAT",
        choices=(*MODELS, *DATASETS),
        help=f"of a model: {', '.join(MODELS)}; of a dataset: {', '.join(DATASETS)}",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="a new or an empty folder")


def run(options: argparse.Namespace) -> int:
    from pipelines.export.output import new_folder

    with new_folder(options.output) as folder:
        said = _model(options, folder) if options.to in MODELS else _dataset(options, folder)
    print(said)
    return 0


def _model(options: argparse.Namespace, folder: Path) -> str:
    from fec.progress import event
    from pipelines.embedding.embedder import load_embedder
    from pipelines.export.networks import NETWORK_FORMATS, export_network

    event("loading", f"loading {options.what}")
    path, apart = export_network(load_embedder(options.what), options.to, folder)
    takes = NETWORK_FORMATS[options.to].takes
    return f"{options.output / path.name}: takes {takes}; differs from the model by {apart:.1g} at the most"


def _dataset(options: argparse.Namespace, folder: Path) -> str:
    from fec.dataset import open as open_dataset
    from pipelines.export.datasets import export_dataset

    counts = export_dataset(open_dataset(options.what), options.to, folder)
    told = ", ".join(f"{count:,} triplets of {split}" for split, count in counts.items())
    return f"{options.output}: {told}"
