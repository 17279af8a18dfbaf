"""What CONTRIBUTING.md tells people to run is a target of make, and its examples do what they are for."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.docs.fences import REPOSITORY, fences

COMMANDS = [
    shlex.split(line, comments=True)
    for block in fences(REPOSITORY / "CONTRIBUTING.md")
    for line in block.text.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_is_a_target_of_make(command: list[str]) -> None:
    assert command[0] == "make"
    made = subprocess.run([*command, "--dry-run"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_the_help_names_every_target_told_of() -> None:
    listed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    targets = {word for command in COMMANDS for word in command[1:] if "=" not in word}
    assert targets <= set(re.findall(r"^make (\S+)", listed, re.MULTILINE))


def test_the_example_of_one_test_selects_some() -> None:
    (selection,) = [word.removeprefix("TEST=") for command in COMMANDS for word in command if word.startswith("TEST=")]
    pytest_itself = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    chosen = subprocess.run(
        [*pytest_itself, *shlex.split(selection)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert chosen.returncode == 0, chosen.stdout
    assert "::" in chosen.stdout
