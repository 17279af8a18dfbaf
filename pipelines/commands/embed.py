"""``fec embed``: the faces of one's own photographs as embeddings of a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Find the faces in photographs, and give each its embedding by a trained model."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="ROOT/models/RUN, a root with one run, or a .keras file")
    parser.add_argument("places", metavar="IMAGE|FOLDER", nargs="+", help="pictures, and folders of pictures")
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="CSV",
        help="where the faces are, instead of looking for them: picture,left,right,top,bottom as fractions",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="a .parquet file, instead of printing")
    parser.add_argument("--json", action="store_true", help="print a JSON object a face")


def run(options: argparse.Namespace) -> int:
    import json

    from fec.errors import ConfigurationError
    from fec.progress import event
    from pipelines.embedding.pictures import pictures_in, read_boxes

    if options.output is not None and options.output.suffix != ".parquet":
        raise ConfigurationError(f"--output {options.output}: expected a name that ends in .parquet")
    if options.output is not None and not options.output.absolute().parent.is_dir():
        raise ConfigurationError(f"--output {options.output}: there is no folder {options.output.absolute().parent}")
    pictures = pictures_in(options.places)
    boxes = None if options.boxes is None else read_boxes(options.boxes)

    event("loading", f"loading {options.model}")
    from pipelines.embedding.embedder import load_embedder
    from pipelines.embedding.faces_table import embed_pictures, write_parquet

    embedder = load_embedder(options.model)
    rows = list(embed_pictures(embedder, pictures, boxes))
    faces = [row for row in rows if row.face is not None]
    if not faces:
        raise ConfigurationError("; ".join(row.as_text() for row in rows[:3]) + ("; …" if len(rows) > 3 else ""))
    if options.output is None:
        for row in rows:
            print(json.dumps(row.as_json()) if options.json else row.as_text())
    else:
        write_parquet(options.output, rows, embedder.dimension)
        print(f"{options.output}: {len(faces):,} faces of {len(pictures):,} pictures")
    return 0
