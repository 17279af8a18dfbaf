"""``fec completion``: what a shell completes of the command line."""

from __future__ import annotations

import argparse

SUMMARY = 'Print what makes a shell complete commands and options: eval "$(fec completion bash)" in ~/.bashrc, say.'

SHELLS = ("bash", "zsh", "fish")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> int:
    import shtab

    from pipelines import cli

    print(shtab.complete(cli.parser(cli.COMMANDS), options.shell))
    return 0
