"""The step on real servers: what it stores, that again is free, and that nothing stored is asked for twice."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.download import shards
from components.download.component import download as component
from components.download.step import Parameters, run
from fec import identity, layout, tables
from fec.done import Done, read_done
from fec.errors import ConfigurationError, RunFailed
from fec.outcomes import ImageOutcome
from fec.rows import StoredElsewhere
from fec.segments import SegmentWriter, Tried, read_original, stored_images
from fec.storage import open_storage
from tests.components.download.site import (
    HOSTS,
    JPEG,
    NOT_FOUND,
    Hit,
    Site,
    answer,
    late,
    parameters,
    plan,
    raw,
    serve,
    stored,
)
from tests.fec.conftest import BUCKET, google_emulator, use_google
from tests.watching import content, found

__all__ = ["google_emulator", "use_google"]

FETCHED, GONE = ImageOutcome.FETCHED, ImageOutcome.GONE


EARLIER = datetime(2026, 1, 1, tzinfo=UTC)


def body(path: str) -> bytes:
    return JPEG + path.encode()


async def picture(hit: Hit, out: asyncio.StreamWriter) -> None:
    """A picture of its own for every path."""
    await answer(body(hit.path))(hit, out)


def done(root: Path | str, shard: int = 0) -> Done | None:
    return read_done(open_storage(str(root)), layout.images_dir("train", shard))


def segments_of(root: Path, shard: int = 0) -> list[str]:
    return sorted(path.name for path in (root / layout.images_dir("train", shard)).glob("segment-*"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def events(said: str) -> dict[str, dict[str, Any]]:
    return {value["event"]: value for value in map(json.loads, said.splitlines())}


def test_the_component_fetches_every_image_of_its_group(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages["/gone"] = NOT_FOUND
    urls = [site.url(f"/{number}", HOSTS[number % 4]) for number in range(20)] + [site.url("/gone", HOSTS[4])]
    plan(tmp_path, urls, num_shards=5)
    given = component.python_func(
        root=str(tmp_path), split="train", group="0/1", allow_network=["127.0.0.0/8"], requests_per_second=500.0
    )
    assert given == "0/1"
    images = stored(tmp_path, 5)
    assert Counter(image.outcome for image in images.values()) == {FETCHED: 20, GONE: 1}
    storage = open_storage(str(tmp_path))
    for shard in range(5):
        for image in stored_images(storage, "train", shard).values():
            if image.outcome is FETCHED:
                assert read_original(storage, "train", shard, image) == body(urlsplit(image.url).path)
    assert set(site.asked().values()) == {1}
    markers = [done(tmp_path, shard) for shard in range(5)]
    assert sum(marker.counts["images"] for marker in markers if marker) == 21
    assert sum(marker.counts.get("fetched", 0) for marker in markers if marker) == 20
    assert not (tmp_path / ".work").exists()


def test_a_group_is_its_shards_only(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url(f"/{host}", host) for host in HOSTS], num_shards=5)
    run(parameters(tmp_path, group="1/2"))
    assert [done(tmp_path, shard) is not None for shard in range(5)] == [False, True, False, True, False]
    assert set(site.asked()) == {f"/{HOSTS[1]}", f"/{HOSTS[3]}"}


def test_a_shard_without_images_is_done(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a")], num_shards=3)
    run(parameters(tmp_path))
    assert [marker.counts["images"] for shard in range(3) if (marker := done(tmp_path, shard))] == [1, 0, 0]


def test_again_asks_nothing_and_leaves_every_byte(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages["/down"] = answer(b"", "500 Oops")
    plan(tmp_path, [site.url(path) for path in ("/a", "/b", "/c", "/down")])
    run(parameters(tmp_path, attempts=1))
    before, asked = contents(tmp_path), len(site.log)
    run(parameters(tmp_path, attempts=1))
    assert contents(tmp_path) == before
    assert len(site.log) == asked


def test_a_changed_plan_fetches_what_is_new_only(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a"), site.url("/b")])
    run(parameters(tmp_path))
    plan(tmp_path, [site.url("/b"), site.url("/c")])
    run(parameters(tmp_path))
    assert site.asked() == {"/a": 1, "/b": 1, "/c": 1}
    marker = done(tmp_path)
    assert marker is not None
    assert marker.counts["images"] == 2


def test_the_digest_tells_outcomes_and_bytes_not_times_or_the_order(site: Site, tmp_path: Path) -> None:
    def digest(name: str) -> str:
        site.default = picture
        root = tmp_path / name
        plan(root, [site.url("/a"), site.url("/b"), site.url("/gone")])
        run(parameters(root))
        marker = done(root)
        assert marker is not None
        return marker.digest

    site.pages["/gone"] = NOT_FOUND
    first = digest("one")
    site.pages["/a"] = late(0.2, picture)
    assert digest("two") == first
    site.pages["/a"] = answer(JPEG + b"another picture")
    assert digest("three") != first
    site.pages["/a"] = NOT_FOUND
    assert digest("four") != first


def test_passing_failures_wait_for_their_time_and_are_said(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.default = picture
    site.pages["/down"] = answer(b"", "500 Oops")
    plan(tmp_path, [site.url(path) for path in ("/a", "/b", "/down")])
    run(parameters(tmp_path, attempts=1))
    marker = done(tmp_path)
    assert marker is not None
    assert (marker.counts["transient"], marker.counts["server_error"]) == (1, 1)
    capsys.readouterr()
    run(parameters(tmp_path, attempts=1))
    said = events(capsys.readouterr().err)["transient_left"]
    assert said["images"] == 1
    assert "--retry-transient-after 0" in said["message"]
    assert site.asked()["/down"] == 1

    site.pages["/down"] = picture
    run(parameters(tmp_path, retry_transient_after=0.0))
    assert site.asked() == {"/a": 1, "/b": 1, "/down": 2}
    assert {image.outcome for image in stored(tmp_path).values()} == {FETCHED}
    marker = done(tmp_path)
    assert marker is not None
    assert marker.counts["transient"] == 0


def test_the_same_failure_again_writes_no_segment(site: Site, tmp_path: Path) -> None:
    site.default = picture
    site.pages["/down"] = answer(b"", "500 Oops")
    plan(tmp_path, [site.url("/a"), site.url("/down")])
    run(parameters(tmp_path, attempts=1))
    first = done(tmp_path)
    again = parameters(tmp_path, attempts=1, retry_transient_after=0.0)
    run(again)
    assert site.asked()["/down"] == 2
    assert segments_of(tmp_path) == ["segment-00000.parquet", "segment-00000.tar"]
    site.pages["/down"] = answer(b"", "429 Slow down")
    run(again)
    assert len(segments_of(tmp_path)) == 4
    second = done(tmp_path)
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def elsewhere(root: Path, urls: list[str], split: str, shard: int) -> None:
    """What an earlier plan of the root stored in another place, and the new plan's table of it."""
    storage = open_storage(str(root))
    with SegmentWriter(storage, split, shard) as writer:
        for url in urls:
            found = FETCHED if "gone" not in url else GONE
            data = body(urlsplit(url).path) if found is FETCHED else None
            writer.add(Tried(identity.image_id(url), url, found, "", 1, EARLIER), data, "jpg")
        writer.finish()
    rows = [StoredElsewhere(identity.image_id(url), split, shard, 0) for url in urls]
    table = tables.from_rows(sorted(rows, key=lambda row: row.image_id), StoredElsewhere)
    tables.write_table(storage, f"{layout.plan_dir('train')}/stored.parquet", table)


@pytest.mark.parametrize(("split", "shard"), [("eval", 0), ("train", 7)])
def test_what_an_earlier_plan_stored_is_copied_not_asked_for(
    site: Site, tmp_path: Path, split: str, shard: int
) -> None:
    site.default = picture
    old = [site.url("/a"), site.url("/b"), site.url("/gone")]
    plan(tmp_path, [*old, site.url("/new")])
    elsewhere(tmp_path, old, split, shard)
    run(parameters(tmp_path))
    assert site.asked() == {"/new": 1}
    images = stored(tmp_path)
    assert {url: image.outcome for url, image in images.items()} == dict(
        zip([*old, site.url("/new")], [FETCHED, FETCHED, GONE, FETCHED], strict=True)
    )
    assert images[old[0]].finished_at == EARLIER
    assert read_original(open_storage(str(tmp_path)), "train", 0, images[old[0]]) == body("/a")


def test_what_is_spoiled_there_is_fetched_again(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a"), site.url("/b")])
    elsewhere(tmp_path, [site.url("/a"), site.url("/b")], "eval", 3)
    tar = tmp_path / "images/eval/3/segment-00000.tar"
    spoiled = bytearray(tar.read_bytes())
    spoiled[520] ^= 1
    tar.write_bytes(spoiled)
    run(parameters(tmp_path))
    assert site.asked().total() == 1
    assert "spoiled" in events(capsys.readouterr().err)
    assert {image.outcome for image in stored(tmp_path).values()} == {FETCHED}


def test_a_manifest_that_is_spoiled_there_costs_only_its_own_images(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a")])
    elsewhere(tmp_path, [site.url("/a")], "eval", 3)
    (tmp_path / "images/eval/3/segment-00000.parquet").write_bytes(b"PAR1")
    run(parameters(tmp_path))
    assert site.asked() == {"/a": 1}


def deserted() -> str:
    """The origin of a host where nothing listens."""
    with serve(HOSTS[4:]) as gone:
        return gone.url("", HOSTS[4])


def test_an_outage_fails_with_one_line_writes_no_marker_and_keeps_what_came(
    site: Site, tmp_path: Path, quick: None
) -> None:
    site.pages["/a"] = picture
    site.default = answer(b"", "503 Busy")
    plan(tmp_path, [site.url(path) for path in ("/a", "/b", "/c", "/d")])
    with pytest.raises(RunFailed) as caught:
        run(parameters(tmp_path, attempts=1))
    assert str(caught.value).startswith(
        "3 of 4 images of train could not be fetched for transient causes, 3 of them at 127.0.0.1 "
        "(server_error: 503 Busy); what was fetched is kept. Check the network and run again"
    )
    assert done(tmp_path) is None
    site.default = picture
    run(parameters(tmp_path))
    assert site.asked() == {"/a": 1, "/b": 2, "/c": 2, "/d": 2}
    assert done(tmp_path) is not None


def test_a_dead_host_among_living_ones_is_no_outage(site: Site, tmp_path: Path, quick: None) -> None:
    site.default = picture
    dead = deserted()
    plan(tmp_path, [site.url("/a"), *(f"{dead}/{number}" for number in range(9))], num_shards=2)
    run(parameters(tmp_path))
    markers = [done(tmp_path, shard) for shard in range(2)]
    assert [marker.counts["transient"] for marker in markers if marker] == [0, 9]


def test_a_group_of_dead_hosts_fails_until_they_had_their_time(site: Site, tmp_path: Path, quick: None) -> None:
    dead = deserted()
    plan(tmp_path, [f"{dead}/{number}" for number in range(3)])
    for _ in range(2):
        with pytest.raises(RunFailed, match="3 of 3 images of train could not be fetched"):
            run(parameters(tmp_path))
    time.sleep(0.3)
    run(parameters(tmp_path, retry_transient_after=0.2))
    marker = done(tmp_path)
    assert marker is not None
    assert marker.counts["transient"] == 3


def test_what_was_fetched_before_counts_against_an_outage(site: Site, tmp_path: Path, quick: None) -> None:
    site.default = picture
    site.pages.update({f"/down/{number}": answer(b"", "503 Busy") for number in range(3)})
    good = [site.url(f"/{number}") for number in range(10)]
    plan(tmp_path, good)
    run(parameters(tmp_path))
    plan(tmp_path, [*good, *(site.url(f"/down/{number}") for number in range(3))])
    run(parameters(tmp_path, attempts=1))
    marker = done(tmp_path)
    assert marker is not None
    assert (marker.counts["fetched"], marker.counts["transient"]) == (10, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests_per_second": 0.0},
        {"connections": 0},
        {"attempts": 0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"max_redirects": -1},
        {"max_transient": 1.5},
        {"allow_network": ("everywhere",)},
        {"group": "5"},
        {"user_agent": "a\r\nX: b"},
        {"user_agent": ""},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(site: Site, tmp_path: Path, wrong: dict[str, Any]) -> None:
    plan(tmp_path, [site.url("/a")])
    with pytest.raises(ConfigurationError):
        run(parameters(tmp_path, **wrong))
    assert site.log == []


def test_without_a_plan_it_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="run the plan step first"):
        run(parameters(tmp_path))


def command(asked: Parameters) -> list[str]:
    return [
        *(sys.executable, "-m", "components.download", "--root", asked.root, "--split", "train", "--group", "0/1"),
        *("--allow-network", "127.0.0.0/8", "--requests-per-second", str(asked.requests_per_second)),
    ]


def safe(root: Path, num_shards: int) -> set[str]:
    """Paths of the images that are stored: in a segment or in a journal."""
    urls = set(stored(root, num_shards))
    for journal in found(root, ".work/images/train/*/journal"):
        for line in content(journal).splitlines(keepends=True):
            if line.endswith(b"\n"):
                urls.add(json.loads(line)["url"])
    return {urlsplit(url).path for url in urls}


def started(asked: Parameters, until: Callable[[], bool]) -> subprocess.Popen[str]:
    """The step in a process of its own, once it has come to the point ``until``."""
    process = subprocess.Popen(command(asked), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not until():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


def test_killed_while_fetching_it_goes_on_without_asking_twice(site: Site, tmp_path: Path) -> None:
    site.default = picture
    urls = [site.url(f"/{number}", HOSTS[number % 4]) for number in range(160)]
    for root in (tmp_path / "whole", tmp_path / "killed"):
        plan(root, urls, num_shards=3)
    run(parameters(tmp_path / "whole"))
    root = tmp_path / "killed"
    slowly = parameters(root, requests_per_second=40.0)
    for moment in (1, 30, 70, 110):
        before, asked = safe(root, 3), len(site.log)
        process = started(slowly, lambda moment=moment: len(safe(root, 3)) >= moment)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert before.isdisjoint(hit.path for hit in site.log[asked:])
    before, asked = safe(root, 3), len(site.log)
    run(slowly)
    assert before.isdisjoint(hit.path for hit in site.log[asked:])
    assert [done(root, shard) for shard in range(3)] != [None] * 3
    for shard in range(3):
        ours, whole = done(root, shard), done(tmp_path / "whole", shard)
        assert ours is not None
        assert whole is not None
        assert (ours.digest, ours.counts) == (whole.digest, whole.counts)
    assert not (root / ".work").exists()


@pytest.mark.parametrize(
    ("number", "exit_code", "says"),
    [(signal.SIGTERM, 1, "told to stop"), (signal.SIGINT, 130, "interrupted; what")],
)
def test_told_to_stop_it_seals_what_it_has_and_says_so(
    site: Site, tmp_path: Path, number: int, exit_code: int, says: str
) -> None:
    site.default = picture
    plan(tmp_path, [site.url(f"/{number}") for number in range(200)])
    process = started(parameters(tmp_path, requests_per_second=20.0), lambda: len(safe(tmp_path, 1)) >= 5)
    begun = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert process.returncode == exit_code
    assert says in said.splitlines()[-1]
    assert "Traceback" not in said
    assert done(tmp_path) is None
    assert len(stored(tmp_path)) >= 5
    kept, asked = safe(tmp_path, 1), len(site.log)
    run(parameters(tmp_path))
    assert kept.isdisjoint(hit.path for hit in site.log[asked:])
    assert len(stored(tmp_path)) == 200


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(site: Site, tmp_path: Path) -> None:
    large = JPEG + bytes(50_000)
    site.default = answer(large)
    plan(tmp_path, [site.url(f"/{number}") for number in range(20)])
    result = subprocess.run(
        command(parameters(tmp_path, requests_per_second=200.0)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert json.loads(result.stderr.splitlines()[-1])["event"] == "error"
    kept = safe(tmp_path, 1)
    assert kept
    asked = len(site.log)
    run(parameters(tmp_path))
    assert kept.isdisjoint(hit.path for hit in site.log[asked:])
    assert len(stored(tmp_path)) == 20


def test_more_shards_than_files_may_be_open_is_one_line(site: Site, tmp_path: Path) -> None:
    site.default = picture
    urls = [site.url(f"/{number}") for number in range(300)]
    plan(tmp_path, urls, num_shards=300, shard_of=urls.index)
    result = subprocess.run(
        command(parameters(tmp_path)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "ulimit" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert site.log == []


def peak_megabytes(root: Path) -> float:
    script = (
        "import resource, runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    _, *arguments = command(parameters(root, requests_per_second=1e6))
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments[1:]], capture_output=True, text=True, timeout=120, check=True
    )
    return int(result.stdout.splitlines()[-1]) / 1024


def test_memory_does_not_grow_with_what_is_fetched(site: Site, tmp_path: Path) -> None:
    site.default = answer(JPEG + bytes(200_000))
    peaks = []
    for count in (20, 1500):
        plan(tmp_path / str(count), [site.url(f"/{number}", HOSTS[number % 5]) for number in range(count)])
        peaks.append(peak_megabytes(tmp_path / str(count)))
    # 300 MB were fetched; a segment of 64 MB is in memory while it is put.
    assert peaks[1] - peaks[0] < 150


def test_a_remote_root_has_what_was_fetched_before_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, use_google: None, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shards, "REMOTE_SEAL_SECONDS", 0.4)
    root = f"gs://{BUCKET}/download-{os.getpid()}"
    site.default = picture
    site.pages["/last"] = late(4.0, picture)
    plan(root, [site.url(path) for path in ("/a", "/b", "/last")])
    downloading = threading.Thread(target=run, args=(parameters(root, timeout=20.0),))
    downloading.start()
    deadline = time.monotonic() + 20
    while len(stored(root)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert downloading.is_alive()
    assert set(stored(root)) == {site.url("/a"), site.url("/b")}
    downloading.join()
    assert set(stored(root)) == {site.url("/a"), site.url("/b"), site.url("/last")}
    assert done(root) is not None


def test_a_tar_whose_task_died_with_its_disk_is_taken_over(site: Site, tmp_path: Path) -> None:
    site.default = picture
    plan(tmp_path, [site.url("/a"), site.url("/b")])
    run(parameters(tmp_path))
    folder = tmp_path / layout.images_dir("train", 0)
    (folder / "segment-00000.parquet").unlink()
    (folder / layout.DONE).unlink()
    run(parameters(tmp_path))
    assert site.asked() == {"/a": 1, "/b": 1}
    assert segments_of(tmp_path) == ["segment-00000.parquet", "segment-00000.tar"]


def test_hostile_headers_do_not_spoil_the_manifest(site: Site, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nETag: \xff\xfe\xed\r\nContent-Length: %d\r\n\r\n" % len(JPEG)
    site.pages["/a"] = raw(head + JPEG)
    site.pages["/b"] = raw(b"HTTP/1.1 302 \xff\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n")
    plan(tmp_path, [site.url("/a"), site.url("/b")])
    run(parameters(tmp_path))
    assert {urlsplit(url).path: image.outcome for url, image in stored(tmp_path).items()} == {"/a": FETCHED, "/b": GONE}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_host_in_several_shards_keeps_its_rate_over_all_groups(site: Site, tmp_path: Path, groups: int) -> None:
    site.default = picture
    urls = [site.url(f"/{number}") for number in range(48)]
    plan(tmp_path, urls, num_shards=4, shard_of=lambda url: urls.index(url) % 4)
    threads = [
        threading.Thread(target=run, args=(parameters(tmp_path, group=f"{index}/{groups}", requests_per_second=40.0),))
        for index in range(groups)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(hit.at for hit in site.log)
    assert len(times) == 48
    # All groups together may begin at once, one request each.
    assert times[-1] - times[0] >= 0.9 * (48 - groups) / 40.0


def test_what_a_task_started_twice_put_after_the_marker_is_taken_in_by_the_next_run(site: Site, tmp_path: Path) -> None:
    urls = [site.url(f"/{number}") for number in range(4)]
    site.pages["/0"] = answer(b"", "404 Not Found")
    site.default = answer()
    plan(tmp_path, urls)
    run(parameters(tmp_path))
    before = stored(tmp_path)
    storage = open_storage(str(tmp_path))
    dead = before[urls[0]].tried
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(replace(dead, outcome=ImageOutcome.FETCHED), JPEG + b"late", "jpg")
        writer.add(before[urls[1]].tried, JPEG + b"another", "jpg")
        writer.finish()
    assert stored(tmp_path) == before
    asked = site.asked()
    run(parameters(tmp_path))
    assert site.asked() == asked
    assert stored(tmp_path)[urls[0]].outcome is ImageOutcome.FETCHED
