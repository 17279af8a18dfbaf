"""The ``fec`` command: help that costs nothing, mistakes in one line."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from components.form import RunParameters
from pipelines.cli import COMMANDS
from pipelines.commands import completion, run

ROW = ",".join([f'"http://127.0.0.1/{name}.jpg",0.1,0.6,0.1,0.6' for name in "abc"] + ["ONE_CLASS_TRIPLET,rater,1"])


def fec(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    around = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=around)


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "annotations.csv"
    path.write_text(ROW + "\n")
    return str(path)


def test_help_names_every_command() -> None:
    done = fec("--help")
    assert done.returncode == 0
    assert [name for name in COMMANDS if not re.search(rf"\n    {name}\s", done.stdout)] == []


def test_the_version_is_that_of_the_package() -> None:
    done = fec("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"fec {metadata.version('fec')}\n"


def test_the_help_of_a_run_names_every_option_once_and_in_a_group() -> None:
    grouped = [name for names in run.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(field.name for field in dataclasses.fields(RunParameters))
    told = fec("run", "--help", COLUMNS="100").stdout
    assert [name for name in grouped if told.count(f"--{name.replace('_', '-')} ") > 2] == []
    assert told.count("--max-shards") == 1
    assert "\noptions:\n  -h, --help" in told


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    done = fec("completion", shell)
    assert done.returncode == 0
    assert "train-csv" in done.stdout and "similar" in done.stdout


def test_bash_completes_what_is_typed() -> None:
    script = fec("completion", "bash").stdout
    typed = "COMP_WORDS=(fec run --train-c); COMP_CWORD=2; _shtab_fec fec --train-c run; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", f"{script}\n{typed}"], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["--train-csv"]


def test_control_c_is_one_line(tmp_path: Path) -> None:
    """While a command waits for a file that never comes: a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "list.csv")
    arguments = ["run", "--train-csv", str(tmp_path / "list.csv"), "--eval-csv", "x", "--root", str(tmp_path / "root")]
    started = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while (waited_for := _reader_of(tmp_path / "list.csv")) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    out, said = started.communicate(timeout=30)
    assert (out, said, started.returncode) == ("", "\nfec run: stopped\n", 130)
    assert waited_for is not None
    os.close(waited_for)


def _reader_of(pipe: Path) -> int | None:
    """The pipe's other end, once somebody waits to read from it."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_no_kfp_for_its_help(command: str) -> None:
    script = (
        "import sys; from pipelines import cli\n"
        f"sys.argv = ['fec', {command!r}, '--help']\n"
        "try:\n    cli.main()\n"
        "except SystemExit:\n    print('HEAVY', *{'kfp', 'pyarrow', 'tensorflow', 'cv2', 'numpy'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("HEAVY\n")


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("fec")
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND"]),
        (["walk"], ["there is no command 'walk'", "run"]),
        (["rnu"], ["there is no command 'rnu'; did you mean run?"]),
        (["images", "buidl"], ["there is no command 'buidl'; did you mean build?", "fec images"]),
        (["run", "--trian-csv", "x"], ["fec run", "there is no option '--trian-csv'; did you mean --train-csv?"]),
        (["run", "--train", "x"], ["there is no option '--train'; did you mean --train-csv?"]),
        (["completion", "tcsh"], ["tcsh", "bash"]),
        (["run"], ["--train-csv", "--root"]),
        (["compile", "--parallelism", "0"], ["parallelism 0", "1 to 80"]),
        (["compile", "--output", "pipeline.txt"], ["pipeline.txt", ".yaml"]),
        (["compile", "--output", "/nowhere/at/all.yaml"], ["/nowhere/at"]),
        (["compile"], ["no images", "--registry"]),
        (["compile", "--backoff-factor", "1.5"], ["--backoff-factor", "1.5"]),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], words: list[str]) -> None:
    assert_one_line(fec(*arguments), *words)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--num-train-shards", "0", ["--num-train-shards 0", "between 1 and"]),
        ("--num-train-shards", "many", ["--num-train-shards", "many"]),
        ("--max-shards", "-1", ["--max-shards -1"]),
        ("--max-groups", "0", ["--max-groups 0"]),
        ("--allow-network", "127.0.0.0/33", ["127.0.0.0/33", "CIDR"]),
        ("--allow-network", "localhost", ["localhost", "CIDR"]),
        ("--min-confidence", "70", ["--min-confidence 70", "between 0 and 1"]),
        ("--requests-per-second", "0", ["--requests-per-second"]),
        ("--requests-per-second", "nan", ["--requests-per-second"]),
        ("--detector", "eyes", ["eyes", "yunet"]),
        ("--model", "huge", ["huge", "tiny"]),
        ("--image-size", "-3", ["image", "-3"]),
        ("--train-steps", "-1", ["--train-steps -1"]),
        ("--train-csv", "/nowhere/train.csv", ["/nowhere/train.csv"]),
        ("--eval-csv", "/nowhere/eval.csv", ["/nowhere/eval.csv"]),
        ("--root", "/proc/here", ["/proc/here", "cannot be written"]),
        ("--root", "ftp://host/folder", ["ftp://", "gs://"]),
        ("--root", "", ["root is empty", "gs://"]),
    ],
)
def test_a_run_asked_for_wrongly_is_one_line(
    csv: str, tmp_path: Path, option: str, value: str, words: list[str]
) -> None:
    options = {"--train-csv": csv, "--eval-csv": csv, "--root": str(tmp_path / "root")} | {option: value}
    assert_one_line(fec("run", *(word for pair in options.items() for word in pair)), *words)


def test_a_root_below_a_file_is_one_line(csv: str) -> None:
    assert_one_line(fec("run", "--train-csv", csv, "--eval-csv", csv, "--root", f"{csv}/root"), "cannot be written")


@pytest.mark.parametrize(("root", "words"), [("{csv}", ["cannot be written"]), ("gs://a/b", ["give a folder"])])
def test_a_demo_asked_for_wrongly_is_one_line(csv: str, root: str, words: list[str]) -> None:
    assert_one_line(fec("demo", "--root", root.format(csv=csv)), *words)


def test_a_demo_at_a_root_in_the_user_s_home_is_there(tmp_path: Path) -> None:
    """It finds the annotations of an earlier demo, and that its port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        folder = tmp_path / "demo" / "annotations"
        folder.mkdir(parents=True)
        (folder / "train.csv").write_text(ROW.replace("127.0.0.1", f"127.0.0.1:{taken.getsockname()[1]}") + "\n")
        assert_one_line(fec("demo", "--root=~/demo", HOME=str(tmp_path)), f"which {folder.resolve()} names")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--root", "required"]),
        (["{root}", "--root", "{root}"], ["--root", "not allowed with"]),
        (["--root", "{root}/none"], ["no such folder"]),
        (["{root}/none"], ["no such folder"]),
    ],
)
def test_a_root_to_verify_is_given_once(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    assert_one_line(fec("verify", *(argument.format(root=tmp_path) for argument in arguments)), *words)


@pytest.mark.parametrize("content", ["name,age\nAda,36\n", "\x00\x01\x02" * 100, ""])
def test_a_csv_of_something_else_is_one_line(csv: str, tmp_path: Path, content: str) -> None:
    other = tmp_path / "other.csv"
    other.write_text(content)
    done = fec("run", "--train-csv", csv, "--eval-csv", str(other), "--root", str(tmp_path / "root"))
    assert_one_line(done, "other.csv", "FEC CSV")
