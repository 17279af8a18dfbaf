"""The annotations: the published form, everything a real file may do to it, and what stops a run."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fec.annotations as reader
from components.plan.parameters import Parameters
from fec import annotations_source
from fec.annotation_blocks import read_blocks
from fec.annotation_faces import Faces
from fec.annotation_trust import Malformed, Tally
from fec.annotations import Triplet, TripletType, consensus, parse_row, read_rows
from fec.boxes import Box
from fec.errors import ConfigurationError, RunFailed
from fec.storage import open_storage
from tests.fec.conftest import BUCKET

ROW = (
    '"http://a.test/1.jpg",0.1,0.5,0.2,0.6,"http://b.test/2.jpg",0.25,0.75,0.0,1.0,'
    '"http://c.test/3,x.jpg",0.3,0.4,0.5,0.9,TWO_CLASS_TRIPLET,17,1,4,1,99,3,5,1,6,2,7,1'
)
PARSED = Triplet(
    line=1,
    urls=("http://a.test/1.jpg", "http://b.test/2.jpg", "http://c.test/3,x.jpg"),
    boxes=(Box(0.1, 0.5, 0.2, 0.6), Box(0.25, 0.75, 0.0, 1.0), Box(0.3, 0.4, 0.5, 0.9)),
    type=TripletType.TWO_CLASS_TRIPLET,
    votes=(1, 1, 3, 1, 2, 1),
    annotators=("17", "4", "99", "5", "6", "7"),
)


def parsed(text: str) -> list[Triplet | Malformed]:
    return list(read_rows(io.BytesIO(text.encode())))


def lines_read(source: str, split: str, **how: Any) -> Iterator[int]:
    """The line of each triplet of a file."""
    for block in read_blocks(source, split, Faces(), **how):
        yield from block.lines


def written(path: Path, *rows: str) -> str:
    path.write_text("".join(row + "\n" for row in rows))
    return str(path)


def test_a_published_row() -> None:
    assert parse_row(1, ROW.encode()) == PARSED


@pytest.mark.parametrize("raters", [1, 2, 6, 7, 40])
def test_no_rater_is_dropped(raters: int) -> None:
    pairs = ",".join(f"{rater},{rater % 3 + 1}" for rater in range(raters))
    row = parse_row(1, f"{ROW.partition('TRIPLET')[0]}TRIPLET,{pairs}".encode())
    assert isinstance(row, Triplet)
    assert row.votes == tuple(rater % 3 + 1 for rater in range(raters))
    assert row.annotators == tuple(str(rater) for rater in range(raters))


@pytest.mark.parametrize(
    "text",
    [
        ROW,
        ROW + "\r\n",
        "\ufeff" + ROW,
        "  " + ROW + "  ",
        ROW.replace("http://a.test/1.jpg", "  http://a.test/1.jpg "),
        ROW.replace('"http://a.test/1.jpg"', "http://a.test/1.jpg"),
        ROW.replace("TWO_CLASS_TRIPLET", '"TWO_CLASS_TRIPLET"'),
        ROW.replace("TWO_CLASS_TRIPLET", " TWO_CLASS_TRIPLET "),
        ROW.replace(",", ", ").replace("3, x.jpg", "3,x.jpg"),
        ROW.replace(",99,3,", ",99, 3,"),
        ROW.replace(",99,3,", ",99,3.0,"),
        ROW + ",,,,",
    ],
)
def test_harmless_differences_make_no_difference(text: str) -> None:
    assert parsed(text) == [PARSED]


def test_blank_lines_are_passed_over_and_counted_as_lines() -> None:
    assert [row.line for row in parsed(f"\n{ROW}\n  \r\n\n{ROW}")] == [2, 5]


def test_many_blank_lines_are_no_csv(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", train="\n" * 50_000_000)
    tally = Tally()
    with pytest.raises(ConfigurationError, match=r"not an FEC CSV; line 101 is '' .blank"):
        list(lines_read(path, "train", tally=tally))
    assert tally.rows == 10


def test_blank_lines_behind_the_rows_stop_the_run_once_there_are_too_many(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", *[ROW] * 1000, *[""] * 100_000)
    tally = Tally()
    with pytest.raises(ConfigurationError, match="rows are malformed, more than"):
        list(lines_read(path, "train", tally=tally))
    assert tally.rows < 1100


def test_a_line_break_within_quotes_spoils_its_own_row_only(tmp_path: Path) -> None:
    torn = ROW.replace("http://a.test/1.jpg", "http://a.test/\n1.jpg", 1)
    lines = [ROW, torn, ROW, '"hello', ROW]
    rows = list(read_rows(io.BytesIO("\n".join(lines).encode())))
    assert [isinstance(row, Triplet) for row in rows] == [True, False, False, True, False, True]


def test_a_tar_is_no_csv(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", *[ROW] * 200)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.csv", "train.csv")
    with pytest.raises(ConfigurationError, match="a tar; unpack it"):
        list(lines_read(str(tmp_path / "a.tar"), "train"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("hello", "1 columns"),
        (ROW + ",8", "from the type on"),
        (ROW.partition(",17")[0], "from the type on"),
        (ROW.replace("0.25,0.75", "0.75,0.25"), "not left < right"),
        (ROW.replace("0.25,0.75", "0.25,0.25"), "not left < right"),
        (ROW.replace("0.25,0.75", "0.25,nan"), "not left < right"),
        (ROW.replace("0.25,0.75", "nan,0.75"), "not left < right"),
        (ROW.replace("0.25,0.75", "0.25,inf"), "not left < right"),
        (ROW.replace("0.25,0.75", "-inf,0.75"), "not left < right"),
        (ROW.replace("0.25,0.75", "0.25,1.06"), "not left < right"),
        (ROW.replace("0.25,0.75", "-0.06,0.75"), "not left < right"),
        (ROW.replace("0.25,0.75", "1.01,1.02"), "not left < right"),
        (ROW.replace("0.25,0.75", "0.25,"), "not four numbers"),
        (ROW.replace("0.25,0.75", "0.25,wide"), "not four numbers"),
        (ROW.replace("0.25,0.75", "0.25"), "12 columns from the type on"),
        (ROW.replace("TWO_", "FOUR_"), "triplet type 'FOUR_CLASS_TRIPLET'"),
        (ROW.replace(",99,3,", ",99,0,"), "vote '0'"),
        (ROW.replace(",99,3,", ",99,4,"), "vote '4'"),
        (ROW.replace(",99,3,", ",99,,"), "vote ''"),
        (ROW.replace(",99,3,", ",99,3.5,"), "vote '3.5'"),
        (ROW.replace("http://a.test/1.jpg", "  "), "URL is empty"),
        (ROW.replace("http://a.test/1.jpg", "http://a.test/\x00"), "control character"),
        (ROW.replace("http://a.test/1.jpg", "http://a.test/\x1b[31m"), "control character"),
        (ROW.replace("http://a.test/1.jpg", "http://a.test/\x9b31m"), "control character"),
        (ROW.replace(",17,", ",1\x007,"), "control character"),
        (ROW.replace("http://a.test/1.jpg", "http://a.test/" + "é" * 4100), "longer than 8192 bytes"),
        (ROW.replace("1.jpg", "1.jpg" * 20_000), "longer than 65536 bytes"),
        ('"' + ROW, "expected after"),
        (ROW.replace('1.jpg"', "1.jpg"), ""),
        (
            ROW.replace("http://b.test/2.jpg", "http://a.test/1.jpg").replace("0.25,0.75,0.0,1.0", "0.1,0.5,0.2,0.6"),
            "same",
        ),
    ],
)
def test_a_malformed_row_says_why_and_spoils_no_other(row: str, reason: str) -> None:
    first, second = parsed(f"{row}\n{ROW}\n")
    assert isinstance(first, Malformed)
    assert reason in first.reason
    assert (first.reason + first.text).isprintable()
    assert len(first.text) < 130
    assert isinstance(second, Triplet)
    assert second.line == 2


def test_bytes_that_are_no_text_are_malformed() -> None:
    row = parse_row(7, ROW.encode().replace(b"1.jpg", b"\xff.jpg"))
    assert row == Malformed(7, row.text if isinstance(row, Malformed) else "", "not UTF-8 text")


@pytest.mark.parametrize(
    ("edges", "box", "clipped"),
    [
        ("-0.01,0.5,0.2,1.03", Box(0.0, 0.5, 0.2, 1.0), 1),
        ("-0.05,1.05,-0.05,1.05", Box(0.0, 1.0, 0.0, 1.0), 1),
        ("-0.0,0.5,0.2,1", Box(0.0, 0.5, 0.2, 1.0), 0),
    ],
)
def test_a_small_overshoot_is_cut_and_counted(edges: str, box: Box, clipped: int) -> None:
    row = parse_row(1, ROW.replace("0.1,0.5,0.2,0.6", edges).encode())
    assert isinstance(row, Triplet)
    assert repr(row.boxes[0]) == repr(box)  # repr tells -0.0 from 0.0
    assert row.clipped == clipped


@given(
    st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=12)] * 3),
    st.lists(st.tuples(st.text("a1 \",'", max_size=4), st.sampled_from("123")), min_size=1, max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_the_quick_way_gives_what_the_csv_module_gives(
    urls: tuple[str, str, str], pairs: list[tuple[str, str]], quoting: Literal[0, 1, 2, 3]
) -> None:
    faces = [field for url in urls for field in (url, "0.1", "0.2", "0.3", "0.4")]
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerow(
        [*faces, "ONE_CLASS_TRIPLET", *(field for pair in pairs for field in pair)]
    )
    for row in (text.getvalue().rstrip("\r\n"), ROW.replace("3,x", urls[0]).replace("17", pairs[0][0])):
        if "\r" in row or "\n" in row:
            continue
        try:
            quick = reader._triplet(1, *reader._split_as_published(row))
        except ValueError:
            continue  # goes the other way
        assert quick == reader._triplet(1, *reader._split(row))


def test_the_published_form_goes_the_quick_way() -> None:
    assert reader._split_as_published(ROW) == reader._split(ROW)


def test_a_quote_within_an_unquoted_url_is_part_of_it() -> None:
    row = parse_row(1, ROW.replace('"http://b.test/2.jpg"', 'http://b.test/"2".jpg').encode())
    assert isinstance(row, Triplet)
    assert row.urls[1] == 'http://b.test/"2".jpg'


@pytest.mark.parametrize(
    ("votes", "agreement", "expected"),
    [
        ((1, 1, 1, 1, 2, 3), 2 / 3, 1),
        ((1, 1, 1, 1, 2, 3), 0.667, 1),
        ((2, 2, 2, 1, 1, 3), 2 / 3, None),
        ((3, 3, 3, 3, 3, 1, 2, 1, 2), 2 / 3, None),
        ((3, 3, 3, 3, 3, 3, 1, 2, 1), 2 / 3, 3),
        ((2, 2, 2, 2, 1), 0.8, 2),
        ((2, 2, 2, 1, 1), 0.6, 2),
        ((2, 2, 2, 2, 2, 2, 2, 1, 1, 1), 0.7, 2),
        ((1, 1, 1, 2, 2, 2), 0.5, None),
        ((1, 1, 2, 2, 3, 3), 0.01, None),
        ((1, 2, 3), 1 / 3, None),
        ((3,), 1.0, 3),
        ((1, 1, 2), 1.0, None),
    ],
)
def test_consensus(votes: tuple[int, ...], agreement: float, expected: int | None) -> None:
    assert consensus(votes, agreement) == expected


@pytest.mark.parametrize(
    ("votes", "expected"),
    [((1, 1, 1, 1, 2, 3), 1), ((2, 2, 2, 1, 1, 3), None), ((2, 2, 2, 1, 1), None), ((3, 3, 1), 3), ((1, 2), None)],
)
def test_two_thirds_of_the_raters_make_the_consensus_of_the_paper(votes: tuple[int, ...], expected: int | None) -> None:
    assert consensus(votes) == expected
    assert consensus(votes, Parameters(root="r", split="train", annotations="a.csv").agreement) == expected


@given(st.lists(st.integers(1, 3), min_size=1, max_size=20), st.integers(1, 20), st.integers(1, 20))
def test_consensus_is_exact_and_blind_to_order(votes: list[int], numerator: int, denominator: int) -> None:
    if numerator > denominator:
        numerator, denominator = denominator, numerator
    winner = consensus(tuple(votes), numerator / denominator)
    assert winner == consensus(tuple(reversed(votes)), numerator / denominator)
    passing: list[int | None] = [
        face
        for face in (1, 2, 3)
        if votes.count(face) * denominator >= numerator * len(votes)
        and all(votes.count(face) > votes.count(other) for other in {1, 2, 3} - {face})
    ]
    assert [winner] == (passing or [None])


def test_malformed_rows_below_the_share_are_reported_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.csv", *[ROW] * 1500, *["broken"] * 15)
    tally = Tally()
    assert len(list(lines_read(path, "train", tally=tally))) == 1500
    assert tally == Tally(rows=1515, malformed=15, clipped_boxes=0)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["line"] for event in said if event["event"] == "malformed_row"] == list(range(1501, 1511))
    assert said[-1]["message"] == "15 of 1,515 rows are malformed and left out"


def test_too_many_malformed_rows_stop_the_run_with_both_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", *[ROW] * 97, *["broken"] * 3)
    with pytest.raises(ConfigurationError, match=r"3 of the first 100 rows are malformed.*1\.00%.*line 98"):
        list(lines_read(path, "train"))
    assert len(list(lines_read(path, "train", max_malformed=0.03))) == 97


def test_a_bad_beginning_is_not_judged_before_there_are_enough_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", *["broken"] * 5, *[ROW] * 995)
    assert len(list(lines_read(path, "train"))) == 995


def test_a_file_going_bad_stops_before_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", *[ROW] * 2000, *["broken"] * 100_000)
    with pytest.raises(ConfigurationError, match="21 of the first 2,021 rows"):
        list(lines_read(path, "train"))


def test_something_else_than_an_fec_csv_stops_at_once_with_its_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.csv", "name,age\x1b[31m", *["anna,3"] * 100)
    with pytest.raises(ConfigurationError, match=r"not an FEC CSV; line 1 is 'name,age.\[31m'"):
        list(lines_read(path, "train"))
    assert capsys.readouterr().err == ""


def test_a_binary_file_is_no_fec_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(range(256)) * 1000)
    with pytest.raises(ConfigurationError, match="not an FEC CSV") as failure:
        list(lines_read(str(tmp_path / "a.csv"), "train"))
    assert str(failure.value).isprintable()


@pytest.mark.parametrize(
    ("name", "says"), [("none.csv", "No such file"), ("", "Is a directory"), ("empty.csv", "empty")]
)
def test_what_is_no_file_with_rows_is_said_in_one_line(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty.csv").write_text("\n\n")
    with pytest.raises(ConfigurationError, match=says):
        list(lines_read(str(tmp_path / name), "train"))


def zipped(path: Path, **members: str) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/") + ".csv", text)
    return str(path)


@pytest.mark.parametrize(("split", "rows"), [("train", 2), ("eval", 1)])
def test_the_published_zip_is_read_by_split(tmp_path: Path, split: str, rows: int) -> None:
    path = zipped(
        tmp_path / "FEC_dataset.zip",
        **{
            "FEC_dataset__faceexp-comparison-data-train-public": f"{ROW}\n{ROW}\n",
            "FEC_dataset__faceexp-comparison-data-test-public": f"{ROW}\n",
        },
    )
    assert len(list(lines_read(path, split))) == rows


def test_a_zip_without_the_split_names_what_it_has(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", train=ROW, other=ROW)
    with pytest.raises(ConfigurationError, match=r"'test' in its name for split 'eval'.*train\.csv, other\.csv"):
        list(lines_read(path, "eval"))


@pytest.mark.parametrize("spoil", [lambda data: data[:-40], lambda data: data[:60] + b"\xff" * 20 + data[80:]])
def test_a_broken_zip_is_said_in_one_line(tmp_path: Path, spoil: object) -> None:
    path = Path(zipped(tmp_path / "a.zip", train="\n".join([ROW] * 500)))
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match="a zip that cannot be read"):
        list(lines_read(str(path), "train"))


class Web(BaseHTTPRequestHandler):
    """Serves ROW twice; some paths misbehave."""

    asked: list[str]

    def do_GET(self) -> None:
        self.path = self.path.partition("?")[0]
        self.asked.append(self.path)
        body = f"{ROW}\n{ROW}\n".encode()
        if self.path == "/gone.csv":
            self.send_error(404)
        elif self.path == "/busy.csv" or (self.path == "/hiccup.csv" and len(self.asked) == 1):
            self.send_error(503)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 10 * (self.path == "/short.csv")))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Web, "asked", [], raising=False)
    monkeypatch.setattr(annotations_source, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["good.csv", "hiccup.csv"])
def test_annotations_are_read_over_http(web: str, name: str) -> None:
    assert len(list(lines_read(f"{web}/{name}", "train"))) == 2


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("gone.csv", ConfigurationError, "the server answered 404"),
        ("busy.csv", RunFailed, "the server answered 503"),
        ("short.csv", RunFailed, "bytes came"),
    ],
)
def test_what_a_server_refuses_and_what_it_fails_at_are_told_apart(
    web: str, name: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as failure:
        list(lines_read(f"{web}/{name}?token=secret", "train"))
    assert "secret" not in str(failure.value)


def test_a_download_has_a_size_limit(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations_source, "MAX_BYTES", 100)
    with pytest.raises(ConfigurationError, match="larger than 100 bytes"):
        list(lines_read(f"{web}/good.csv", "train"))


def test_a_host_that_refuses_connections_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations_source, "_ATTEMPTS", 1)
    with pytest.raises(RunFailed, match="could not be fetched"):
        list(lines_read("http://127.0.0.1:9/a.csv", "train"))


@pytest.mark.parametrize(("name", "there"), [("good.csv", True), ("gone.csv", False), ("busy.csv", True)])
def test_a_url_is_looked_at_without_being_read(web: str, name: str, there: bool) -> None:
    if there:
        annotations_source.check_there(f"{web}/{name}")
    else:
        with pytest.raises(ConfigurationError, match=rf"{name}: the server answered 404 .*check the URL"):
            annotations_source.check_there(f"{web}/{name}?token=secret")
    assert Web.asked == [f"/{name}"]


def test_a_host_that_is_down_may_come_back() -> None:
    annotations_source.check_there("http://127.0.0.1:9/a.csv")


@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.usefixtures("use_google", "use_s3")
def test_an_object_is_looked_at_without_being_read(scheme: str) -> None:
    open_storage(f"{scheme}://{BUCKET}/annotations").write("there.csv", b"")
    annotations_source.check_there(f"{scheme}://{BUCKET}/annotations/there.csv")
    with pytest.raises(ConfigurationError, match="no such object"):
        annotations_source.check_there(f"{scheme}://{BUCKET}/annotations/none.csv")


@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.usefixtures("use_google", "use_s3")
def test_annotations_are_read_from_an_object_store(scheme: str, tmp_path: Path) -> None:
    storage = open_storage(f"{scheme}://{BUCKET}/annotations")
    storage.write("fec.zip", Path(zipped(tmp_path / "a.zip", train=ROW)).read_bytes())
    faces = Faces()
    (block,) = read_blocks(f"{scheme}://{BUCKET}/annotations/fec.zip", "train", faces)
    assert (tuple(faces.urls), tuple(map(faces.box, block.faces))) == (PARSED.urls, PARSED.boxes)
    assert tuple(block.votes) == PARSED.votes
    with pytest.raises(ConfigurationError, match="no such object"):
        list(lines_read(f"{scheme}://{BUCKET}/annotations/none.zip", "train"))


def test_an_unknown_scheme_is_said_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="ftp:// is not supported"):
        list(lines_read("ftp://host/a.csv", "train"))


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/home/anna/a.csv", "a.csv"),
        ("https://anna:secret@host.test:8443/a.zip?token=secret#x", "https://host.test:8443/a.zip"),
        ("gs://bucket/a.zip", "gs://bucket/a.zip"),
    ],
)
def test_a_source_is_written_down_without_secrets(source: str, shown: str) -> None:
    assert annotations_source.shown(source) == shown


def test_a_local_file_is_known_by_its_content_and_a_url_by_itself(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.csv", ROW), written(tmp_path / "two.csv", ROW)
    assert annotations_source.identity(one) == annotations_source.identity(two)
    assert annotations_source.identity(written(tmp_path / "two.csv", ROW, ROW)) != annotations_source.identity(one)
    assert annotations_source.identity("http://host.test/a.csv") == "http://host.test/a.csv"
