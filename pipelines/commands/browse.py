"""``fec browse``: a root to look at in a web browser on this machine."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util

SUMMARY = "Look at a root in a web browser on this machine: faces, triplets, the map, and a photograph of one's own."

PORT = 8600
_NEEDED = ("fastapi", "uvicorn", "duckdb")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    # Not "run": that is what the command line calls.
    parser.add_argument(
        "--run",
        dest="run_name",
        default="",
        metavar="RUN",
        help="whose model's answers and map (default: the only one)",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="of 127.0.0.1; 0: any that is free (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    from fec.errors import ConfigurationError

    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise ConfigurationError(f"{missing[0]} is not installed: pip install 'fec[browse]'")
    if not 0 <= options.port < 65536:
        raise ConfigurationError(f"--port {options.port}: expected 0 to 65535")

    from fec.storage import open_storage
    from pipelines.browse import server
    from pipelines.browse.app import application
    from pipelines.browse.index import build
    from pipelines.browse.space import read_space

    storage = open_storage(options.root, read_only=True)
    with server.listening(options.port) as listening, contextlib.suppress(KeyboardInterrupt):
        space = read_space(storage, options.run_name)
        index = build(storage, space)
        address = f"http://{server.HOST}:{listening.getsockname()[1]}/"

        def started() -> None:
            print(f"{index.faces:,} faces, {index.triplets:,} triplets: {address}  (Ctrl-C ends it)", flush=True)

        server.serve(application(storage, index, space), listening, started)
    return 0
