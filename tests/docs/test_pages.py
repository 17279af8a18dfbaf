"""What every page says: blocks that are told apart, commands that are understood, links that lead somewhere."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from fec.command import parser_for
from pipelines import cli
from tests.docs.fences import REPOSITORY, fences

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
OTHERS = sorted([*REPOSITORY.glob("[!R]*.md"), *REPOSITORY.glob("components/*/README.md")])


def shown(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def understood(command: list[str]) -> None:
    """Parsed by what would run it; SystemExit if that refuses it."""
    program, *arguments = command
    if program.endswith("fec"):
        cli.parser([arguments[0]] if arguments[0] in cli.COMMANDS else cli.COMMANDS).parse_args(arguments)
    else:
        step = import_module(f"{arguments[1]}.step")
        parser_for(step.Parameters, arguments[1], "").parse_args(arguments[2:])


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_block_says_whether_it_can_be_run(page: Path) -> None:
    assert {block.language for block in fences(page)} <= {"sh", "console", "text", "python", "{toctree}"}


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=shown)
def test_every_command_of_ours_is_understood(page: Path) -> None:
    for command in [command for block in fences(page) for command in block.commands()]:
        understood(command)


@pytest.mark.parametrize(
    "command",
    [["fec", "launch"], ["fec", "run", "--no-such-option"], ["python", "-m", "components.plan", "--shards", "x"]],
)
def test_the_check_refuses_what_is_no_command(command: list[str]) -> None:
    with pytest.raises(SystemExit):
        understood(command)


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=shown)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_tree_of_the_architecture_is_the_tree() -> None:
    page = (REPOSITORY / "ARCHITECTURE.md").read_text()
    told = page.partition("## The tree\n")[2].partition("```\n")[2].partition("```")[0]
    named = set(re.findall(r"(?:^|  )(\w+)/", told, re.MULTILINE))
    layers = ("fec", "components", "pipelines")
    folders = {*layers, "images", "tests", "benchmarks", "docs", "configs"}
    for layer in layers:
        folders |= {path.parent.name for path in (REPOSITORY / layer).glob("*/__init__.py")}
    assert named == folders
