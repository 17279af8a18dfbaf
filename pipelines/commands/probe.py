"""``fec probe``: what a trained model knows of pictures in class folders."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Probe a model on class folders: expressions of unseen people, and whether it knows who somebody is."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="ROOT/models/RUN, a root with one run, or a .keras file")
    parser.add_argument("--images", required=True, type=Path, help="folder that holds one sub-folder a class, of crops")
    parser.add_argument(
        "--subjects",
        default="",
        metavar="PATTERN",
        help="regular expression with one group that finds the subject in a file's name, such as '^(S[0-9]+)_': no "
        "subject is then in two folds, and the identity probe is made; without it every file is a subject of its own",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    import importlib.util
    import json

    from fec.errors import ConfigurationError
    from pipelines.folders.pictures import pictures_of

    pictures = pictures_of(options.images, options.subjects)
    if importlib.util.find_spec("sklearn") is None:
        raise ConfigurationError("scikit-learn is not installed: pip install 'fec[probe]'")

    from pipelines.embedding.embedder import load_embedder
    from pipelines.probing import as_json, as_text, features_of, probes

    features = features_of(load_embedder(options.model), pictures)
    found = probes(features, subjects_known=bool(options.subjects))
    print(json.dumps(as_json(found)) if options.json else as_text(found))
    return 0
