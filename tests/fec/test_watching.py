"""What another process sees of a shard while its download is at work."""

from datetime import UTC, datetime
from pathlib import Path

from fec.outcomes import ImageOutcome
from fec.segments import SegmentWriter, Tried
from fec.segments.watching import UNSEALED, Watched, at_work
from fec.storage import open_storage

AT = datetime(2026, 1, 1, tzinfo=UTC)


def tried(name: str, outcome: ImageOutcome = ImageOutcome.FETCHED) -> Tried:
    return Tried(name, f"http://a.example/{name}", outcome, "", 1, AT)


def test_originals_are_told_of_as_they_come_and_read_where_they_lie(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    assert at_work(storage, "train") == {}
    with SegmentWriter(storage, "train", 7) as writer:
        writer.add(tried("sealed"), b"one")
        writer.seal()
        writer.add(tried("gone", ImageOutcome.GONE))
        writer.add(tried("added"), b"two")
        watched = Watched(storage, "train", 7, at_work(storage, "train")[7])
        found = {image.image_id: image for image in watched.new()}
        assert {name: watched.read(image) for name, image in found.items()} == {"sealed": b"one", "added": b"two"}
        assert [found[name].segment for name in ("sealed", "added")] == [0, UNSEALED]
        assert list(watched.new()) == []
        writer.add(tried("later"), b"three")
        assert [image.image_id for image in watched.new()] == ["later"]
        assert watched.at_work
        writer.finish()
    assert not watched.at_work
    assert list(watched.new()) == []
    assert at_work(storage, "train") == {}


def test_what_is_sealed_before_it_is_read_is_told_of_again(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("early"), b"one")
        watched = Watched(storage, "train", 0, at_work(storage, "train")[0])
        [image] = watched.new()
        writer.seal()
        writer.add(tried("late"), b"other bytes")
        assert watched.read(image) is None
        writer.seal()
        told = {image.image_id: watched.read(image) for image in watched.new()}
        assert told == {"early": b"one", "late": b"other bytes"}


def test_a_row_that_is_half_written_waits_for_its_end(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    with SegmentWriter(storage, "train", 0) as writer:
        writer.add(tried("whole"), b"one")
        workspace = at_work(storage, "train")[0]
        watched = Watched(storage, "train", 0, workspace)
        with (workspace / "journal").open("ab") as journal:
            journal.write(b'{"image_id": "half')
        assert [image.image_id for image in watched.new()] == ["whole"]
        assert list(watched.new()) == []
