"""The ``fec`` command: finds the sub-command's module, and imports no other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import NoReturn

from fec import log
from fec.errors import FecError

# Each is a module of pipelines.commands with SUMMARY, add_options(parser) and run(options) -> exit code.
COMMANDS = (
    "demo",
    "dev",
    "run",
    "triplets",
    "verify",
    "compile",
    "images",
    "submit",
    "status",
    "jobs",
    "threshold",
    "embed",
    "similar",
    "compare",
    "export",
)


class _Version(argparse.Action):
    """Says which version this is and ends; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: object) -> NoReturn:
        print(f"fec {metadata.version('fec')}")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of ``fec`` with the sub-commands of these names."""
    top = Parser(prog="fec", description="The Facial Expression Comparison dataset, from URLs to a trained embedding.")
    top.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and end")
    chosen = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in commands:
        command = import_module(f"pipelines.commands.{name}")
        options = chosen.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.add_options(options)
        options.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``fec`` and exit: 0 done, 1 the run failed, 2 it was asked for wrongly."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = [name for name in COMMANDS if arguments[:1] == [name]]
    options = parser(named or COMMANDS).parse_args(arguments)
    try:
        # What a library mends by itself (a connection tried again) is nothing that a person must read.
        log.start(others="error")
        sys.exit(options.run(options))
    except FecError as error:
        print(f"fec {options.command}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
