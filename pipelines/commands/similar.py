"""``fec similar``: the expressions nearest to that of one face, as a picture and a table."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Show the faces whose expressions are nearest to one, among those of a root or a folder."

_NEAREST = 6


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="ROOT/models/RUN, a root with one run, or a .keras file")
    parser.add_argument("image", metavar="IMAGE", type=Path, help="a photograph with the face")
    parser.add_argument("--among", required=True, metavar="ROOT|FOLDER", help="whose faces to choose from")
    parser.add_argument(
        "-n", "--nearest", type=int, default=_NEAREST, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--face", type=int, default=0, metavar="N", help="which face of several, from the left, from 1")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="a PNG with the faces side by side")
    parser.add_argument("--json", action="store_true", help="print a JSON object a face")


def run(options: argparse.Namespace) -> int:
    import json

    from fec.errors import ConfigurationError
    from fec.progress import event
    from pipelines.embedding import sheet
    from pipelines.embedding.embedder import load
    from pipelines.embedding.finding import read_photograph, the_one_face
    from pipelines.embedding.models import find_model
    from pipelines.embedding.neighbours import candidates_among, nearest

    if options.nearest < 1:
        raise ConfigurationError(f"--nearest {options.nearest}: expected at least 1")
    if options.output is not None and options.output.suffix != ".png":
        raise ConfigurationError(f"--output {options.output}: expected a name that ends in .png")
    photograph = read_photograph(options.image)
    place = find_model(options.model)
    event("loading", f"loading {place.shown}")
    embedder = load(place)
    faces = embedder.faces(photograph)
    if options.face and not 0 < options.face <= len(faces):
        raise ConfigurationError(f"{options.image}: --face {options.face}, but faces found in it: {len(faces)}")
    try:
        face = faces[options.face - 1] if options.face else the_one_face(faces, str(options.image))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}" + ("; name one by --face N" if faces else "")) from None
    candidates = candidates_among(options.among, embedder, place)
    found = nearest(candidates, embedder.of_crops([face.crop])[0], options.nearest)
    for number, one in enumerate(found, 1):
        shown = {"rank": number, "distance": round(one.distance, 6), "name": one.name, "source": one.source}
        print(json.dumps(shown) if options.json else f"{number:>3}  {one.distance:.3f}  {one.name}  {one.source}")
    if options.output is not None:
        sheet.write(options.output, sheet.draw(face.crop, options.image.name, found))
    return 0
