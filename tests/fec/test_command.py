"""A step as a command: options from its parameters, and how it ends."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.summarize import step as summarize
from fec.command import main, parameters_from, parser_for, performed, reported
from fec.errors import ConfigurationError, FecError, RunFailed
from fec.parameters import parameter
from fec.storage import open_storage
from fec.task_records import read_records


@dataclass(frozen=True)
class Parameters:
    root: str = parameter(help="where")
    share: float = parameter(help="from 0 to 100 %", default=0.5)
    count: int = parameter(help="how many", default=3)
    quick: bool = parameter(help="or slow", default=False)
    limit: int | None = parameter(help="none without", default=None)
    network: tuple[str, ...] = parameter(help="which", default=())


def parsed(*argv: str) -> Parameters:
    return parameters_from(Parameters, parser_for(Parameters, "x", "y").parse_args(argv))


def test_defaults_are_the_parameters_own() -> None:
    assert parsed("--root", "r") == Parameters(root="r")


def test_every_kind_of_option() -> None:
    given = parsed(
        *("--root", "r", "--share", "0.25", "--count", "7", "--quick", "--limit", "9"),
        *("--network", "10.0.0.0/8", "--network", "127.0.0.0/8"),
    )
    assert given == Parameters("r", 0.25, 7, True, 9, ("10.0.0.0/8", "127.0.0.0/8"))


def test_help_shows_what_and_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--help")
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "from 0 to 100 % (default: 0.5)" in shown
    assert "--no-quick" in shown
    assert "where" in shown


@pytest.mark.parametrize("argv", [[], ["--root"], ["--root", "r", "--count", "x"], ["--root", "r", "--unknown", "1"]])
def test_a_wrong_option_is_exit_code_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*argv)
    assert ended.value.code == 2


def test_the_result_is_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    main(Parameters, lambda parameters: ["0/1", parameters.root], "x", "y", ["--root", "r"])
    assert json.loads(capsys.readouterr().out) == ["0/1", "r"]


@pytest.mark.parametrize(("error", "code"), [(ConfigurationError("no such file"), 2), (RunFailed("outage"), 1)])
def test_an_error_of_ours_is_one_line_and_its_exit_code(
    error: FecError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert ended.value.code == code
    said = json.loads(capsys.readouterr().err)
    assert (said["severity"], said["message"], said["exit_code"]) == ("ERROR", str(error), code)


def test_another_error_is_not_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError("by 0")
    said = json.loads(capsys.readouterr().err)
    assert (said["event"], said["message"]) == ("crashed", "ZeroDivisionError: by 0")


COMMAND = [sys.executable, "-m", "components.plan", "--root", "unused", "--split", "nonsense", "--annotations", "none"]


def test_a_real_step_ends_with_one_json_line_and_no_traceback() -> None:
    result = subprocess.run(COMMAND, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert json.loads(result.stderr)["message"] == "--split nonsense: expected one of train, eval"


def test_a_person_at_a_terminal_reads_one_plain_line() -> None:
    reader, terminal = pty.openpty()
    try:
        result = subprocess.run(COMMAND, stderr=terminal)
        assert result.returncode == 2
        assert os.read(reader, 10_000) == b"error: --split nonsense: expected one of train, eval\r\n"
    finally:
        os.close(reader)
        os.close(terminal)


def test_a_step_of_a_run_is_on_record_with_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_POD_NAME", "fec-x7k2p-1")
    seen: list[object] = []

    def fail(path: str) -> None:
        raise RunFailed(f"{path}: no artifact")

    def check() -> dict[str, object]:
        seen.append(1)
        return {"state": "RUNNING"}

    summarize_values = {"root": str(tmp_path), "run": "a", "state": "FAILED"}
    with pytest.raises(SystemExit) as ended:
        performed(summarize.run, summarize.Parameters, {}, check=check, publish=fail, **summarize_values)
    assert ended.value.code == 1
    assert seen == [1]
    assert json.loads((tmp_path / "runs/a/summary.json").read_text())["engine"]["state"] == "RUNNING"
    (found,) = read_records(open_storage(str(tmp_path)), "fec-x7k2p")
    assert (found.name, found.exit_code) == ("summarize", 1)
    assert found.line.endswith("summary.json: no artifact")
