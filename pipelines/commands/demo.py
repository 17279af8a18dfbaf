"""``fec demo``: the whole pipeline on real photographs, served from this machine among the troubles of the web."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from urllib.parse import urlsplit

from components.form import RunParameters
from fec.annotations import Triplet, read_rows
from fec.errors import ConfigurationError
from fec.layout import EVAL, TRAIN
from fec.storage import is_local, open_storage

SUMMARY = "Run the whole pipeline on real photographs, from a web server that it starts on this machine."

# Below the root: the URLs in them name the server's port, and with another port everything would be fetched again.
ANNOTATIONS = "annotations"
LOOPBACK = "127.0.0.0/8"
# Our own server may be asked as fast as it answers.
REQUESTS_PER_SECOND = 1000.0
# Three people are told apart sooner than expressions are.
TRAIN_STEPS = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="demo-root", help="the folder for everything it makes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on stdout")


def run(options: argparse.Namespace) -> int:
    from pipelines.commands.run import finish
    from pipelines.demo.scenario import scenario
    from pipelines.demo.site import serve

    if not is_local(options.root):
        raise ConfigurationError(f"--root {options.root}: the demo keeps its annotations there too; give a folder")
    root = open_storage(options.root).root
    folder = Path(root) / ANNOTATIONS
    port = _port_of(folder)
    with contextlib.ExitStack() as stack:
        try:
            site = stack.enter_context(serve(scenario(), port))
        except OSError as error:
            where = f"port {port}, which {folder} names" if port else "127.0.0.1"
            raise ConfigurationError(
                f"the demo's web server cannot listen on {where}: {error.strerror}"
                + "; does another demo work on this root? If not, give another --root" * bool(port)
            ) from None
        csvs = site.write_csvs(folder)
        arguments = RunParameters(
            train_csv=str(csvs[TRAIN]),
            eval_csv=str(csvs[EVAL]),
            root=root,
            allow_network=(LOOPBACK,),
            requests_per_second=REQUESTS_PER_SECOND,
            train_steps=TRAIN_STEPS,
        )
        exit_code = finish(arguments, as_json=options.json)
    if not options.json:
        print("In the demo the odd one out is another person, which is easier to see than another expression.")
        print(f"The demo's server was asked for {len(site.requests):,} pictures.")
    return exit_code


def _port_of(folder: Path) -> int:
    """The port in the annotations of an earlier demo; 0 if there are none."""
    for path in sorted(folder.glob("*.csv")):
        with open(path, "rb") as file:
            for row in read_rows(file):
                if isinstance(row, Triplet):
                    return urlsplit(row.urls[0]).port or 0
    return 0
