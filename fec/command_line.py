"""A command line that is taken by the word: no option by its first letters, and of a misspelled one what was meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from fec.parameters import unknown

# Columns that the names of options take in a help text before what they are goes to the next line.
_NAMES: Final = 32


class Help(argparse.HelpFormatter):
    """Help that names each option once: in the usage are only those that must be given."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_NAMES)

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Iterable[Any], prefix: str | None = None
    ) -> None:
        told = list(actions)
        needed = [action for action in told if not action.option_strings or action.required]
        if len(needed) < len(told):
            needed.append(argparse.Action([], "options", metavar="[OPTION ...]"))
        super().add_usage(usage, needed, [], prefix)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        placeholder = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {placeholder}"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, with the option or command that was meant."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **{"allow_abbrev": False, "formatter_class": Help, **more})

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse does it, but that a word which is no option ends it before one that is missing does."""
        words = list(sys.argv[1:] if args is None else args)
        self.refuse_misspelled(words)
        return super().parse_args(words, namespace)

    def refuse_misspelled(self, words: Sequence[str]) -> None:
        """End with one line for the first of ``words`` that is no option or command; what follows ``--`` is free."""
        commands = next((one for one in self._actions if isinstance(one, argparse._SubParsersAction)), None)
        for place, word in enumerate(words):
            if word == "--":
                return
            name = word.partition("=")[0]
            if word.startswith("--") and name not in self._option_string_actions:
                self.error(unknown("option", name, [known for known in self._options() if known.startswith("--")]))
            if commands is not None and not word.startswith("-"):
                if word not in commands.choices:
                    self.error(unknown("command", word, commands.choices))
                inner = commands.choices[word]
                if isinstance(inner, Parser):
                    inner.refuse_misspelled(words[place + 1 :])
                return

    def _options(self) -> list[str]:
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")
