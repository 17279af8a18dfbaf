"""The ``fec`` command: finds the sub-command's module, and imports no other."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Final, NoReturn

from fec import log
from fec.command_line import Parser
from fec.errors import FecError

# What a shell expects of a command that Ctrl-C has ended.
INTERRUPTED: Final = 130
ABOUT: Final = "The Facial Expression Comparison dataset, from URLs to a trained embedding."
# Columns before what a command is for.
_INDENT: Final = 17
# What there is, as the help tells it. Each is a module of pipelines.commands with SUMMARY, add_options(parser) and
# run(options) -> exit code.
GROUPS: Final = {
    "to begin with": ("demo", "doctor", "dev"),
    "on this machine": ("run", "triplets", "report"),
    "on a cluster": ("images", "compile", "submit", "jobs"),
    "what became of a run": ("status", "verify", "threshold", "compare", "probe"),
    "the dataset and the model in use": ("embed", "similar", "browse", "export", "subset"),
    "the shell": ("completion",),
}
COMMANDS: Final = tuple(name for names in GROUPS.values() for name in names)


class _Version(argparse.Action):
    """Says which version this is and ends; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: object) -> NoReturn:
        print(f"fec {metadata.version('fec')}")
        parser.exit()


class _Overview(argparse.RawDescriptionHelpFormatter):
    """Help whose list of commands is the one with groups."""

    def _format_action(self, action: argparse.Action) -> str:
        return "" if isinstance(action, argparse._SubParsersAction) else super()._format_action(action)


def parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of ``fec`` with the sub-commands of these names."""
    top = Parser(
        prog="fec",
        usage="fec COMMAND [OPTION ...]",
        description=ABOUT,
        formatter_class=_Overview,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and end")
    chosen = top.add_subparsers(dest="command", metavar="COMMAND", required=True, prog="fec")
    summaries: dict[str, str] = {}
    for name in commands:
        command = import_module(f"pipelines.commands.{name}")
        summaries[name] = command.SUMMARY
        options = chosen.add_parser(name, help=command.SUMMARY, description=command.SUMMARY)
        command.add_options(options)
        options.set_defaults(run=command.run)
    top.epilog = _told(summaries)
    return top


def _told(summaries: Mapping[str, str]) -> str:
    """The commands in their groups, a line each."""
    width = shutil.get_terminal_size().columns - _INDENT - 2
    lines = []
    for group, names in GROUPS.items():
        lines.append(f"{group}:")
        for name in names:
            told = textwrap.wrap(summaries.get(name, ""), max(width, 40)) or [""]
            lines.append(f"    {name:<{_INDENT - 4}}{told[0]}")
            lines += [" " * _INDENT + more for more in told[1:]]
    return "\n".join([*lines, "", "fec COMMAND --help tells of a command's options."])


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``fec`` and exit: 0 done, 1 the run failed, 2 it was asked for wrongly."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = [name for name in COMMANDS if arguments[:1] == [name]]
    program = " ".join(["fec", *named])
    try:
        options = parser(named or COMMANDS).parse_args(arguments)
        # What a library mends by itself (a connection tried again) is nothing that a person must read.
        log.start(others="error")
        sys.exit(options.run(options))
    except FecError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        # Some commands tell more of how they go on (pipelines.local.supervision.Stopped) and never come here.
        print(f"\n{program}: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # what read the output has gone: fec … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
