"""What was lost where, held against the rows it is counted from."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.evaluate import losses
from components.evaluate.about import about
from components.evaluate.copies import copies
from components.evaluate.losses import Lists
from components.evaluate.politeness import largest_rate, times
from fec import layout, tables
from fec.funnel import read_funnel
from fec.layout import EVAL, SPLITS
from fec.outcomes import IN_ARCHIVES
from fec.record_files import record_files
from fec.rows import PlannedTriplet, VerifiedFace
from fec.storage import Storage, open_storage
from pipelines.cli import parser
from tests.components.evaluate.conftest import RUN


@pytest.fixture(scope="module")
def storage(finished_root: Path) -> Storage:
    return open_storage(str(finished_root))


@pytest.fixture(scope="module")
def lists(storage: Storage) -> dict[str, Lists]:
    return losses.read_lists(storage)


def test_hosts_add_up_to_the_funnel(storage: Storage, lists: dict[str, Lists]) -> None:
    found = losses.hosts(lists)
    funnels = [read_funnel(storage, split) for split in SPLITS]
    assert sum(host.images for host in found) == sum(funnel.images for funnel in funnels)
    assert sum(host.by_class["fetched"] for host in found) == sum(funnel.fetched for funnel in funnels)
    assert all(sum(host.by_class.values()) == host.images for host in found)
    assert [host.images for host in found] == sorted((host.images for host in found), reverse=True)
    assert next(host for host in found if host.name == "127.0.0.9").worst == "connection_failed"


def test_small_hosts_are_told_together(lists: dict[str, Lists], monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = losses.hosts(lists)
    monkeypatch.setattr(losses, "SHOWN_HOSTS", 2)
    *shown, others = losses.hosts(lists)
    assert shown == all_of_them[:2]
    assert others.name == f"{len(all_of_them) - 2} other hosts"
    assert others.images == sum(host.images for host in all_of_them[2:])


def test_every_loss_has_examples_with_what_was_seen(storage: Storage, lists: dict[str, Lists]) -> None:
    found = losses.examples(lists)
    outcomes = [read_funnel(storage, split).outcomes for split in SPLITS]
    lost = {name for one in outcomes for name in chain(one.images, one.faces)} - {"fetched", "ok", "no_image"}
    assert set(found) == lost
    assert all(0 < len(some) <= losses.SHOWN_EXAMPLES for some in found.values())
    assert found["gone"][0].status == "404"
    assert "HTML" in found["not_an_image"][0].seen
    assert all(one.url.startswith("http://127.") for some in found.values() for one in some)


def test_what_another_run_would_bring_back_is_what_misses_nothing_else(
    storage: Storage, lists: dict[str, Lists]
) -> None:
    expected = 0
    for split in SPLITS:
        faces = {
            face.face_id: face
            for shard in range(2)
            for face in tables.read_rows(storage, f"{split}/{shard}/{layout.FACES_TABLE}", VerifiedFace)
        }
        passing = ("server_error", "connection_failed")
        back = {name for name, face in faces.items() if face.outcome == "no_image" and face.detail.startswith(passing)}
        good = {name for name, face in faces.items() if face.outcome == "ok"}
        triplets = tables.read_rows(storage, f"{layout.plan_dir(split)}/triplets.parquet", PlannedTriplet)
        for triplet in triplets:
            used = set(triplet.faces)
            expected += triplet.odd_one_out is not None and used <= good | back and bool(used & back)
    later = next(remedy for remedy in losses.remedies(lists) if remedy.cause == "later")
    assert later.triplets == expected > 0
    assert set(later.outcomes) == {"server_error", "connection_failed"}


def test_an_archive_may_bring_back_what_is_lost_for_good_and_was_not_looked_for(
    storage: Storage, lists: dict[str, Lists]
) -> None:
    outcomes = [read_funnel(storage, split).outcomes.images for split in SPLITS]
    lost = sum(counts.get(name, 0) for counts in outcomes for name in IN_ARCHIVES)
    [remedy] = [remedy for remedy in losses.remedies(lists) if remedy.cause == "archive"]
    assert remedy.images == lost > 0
    looked = {name: replace(one, images=_looked_for(one.images)) for name, one in lists.items()}
    assert "archive" not in {remedy.cause for remedy in losses.remedies(looked)}
    assert losses.examples(looked)["gone"][0].seen.endswith("in the archive: gone")


def _looked_for(images: pa.Table) -> pa.Table:
    for name, value in (("archive", "http://127.0.0.1/{url}"), ("archive_outcome", "gone")):
        place = images.schema.get_field_index(name)
        images = images.set_column(place, name, pa.array([value] * len(images)))
    return images


def test_a_photograph_in_both_splits_is_a_leak_whatever_its_url(storage: Storage, lists: dict[str, Lists]) -> None:
    found = {one.what: one for one in copies(storage, lists)}
    digests = [set(one.images["sha256"].drop_null().to_pylist()) for one in lists.values()]
    assert found["bytes of the photograph"].across == len(digests[0] & digests[1])
    assert found["URL"].across == 0
    assert found["URL"].train == found["URL"].eval == 0


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [([0.0], 0.1), ([0.0, 1.0, 2.0, 30.0], 0.3), ([0.0, 9.9, 10.0], 0.2), ([5.0] * 40, 4.0)],
)
def test_the_largest_rate_is_that_of_the_busiest_ten_seconds(seconds: list[float], rate: float) -> None:
    assert largest_rate(np.array(seconds)) == pytest.approx(rate)


def test_every_picture_that_was_asked_for_is_an_answer(lists: dict[str, Lists]) -> None:
    found = times(lists)
    assert sum(host.answers for host in found.hosts) == sum(len(one.images) for one in lists.values())
    assert found.first <= found.last


def test_the_command_is_one_that_can_be_given(storage: Storage) -> None:
    found = about(storage, RUN, record_files(storage, EVAL), "2026-11-26")
    program, *words = shlex.split(" ".join(found.command))
    options = parser(["run"]).parse_args(words)
    assert (program, options.root, options.image_size) == ("fec", storage.root, 32)
    assert (options.num_train_shards, options.num_eval_shards) == (2, 2)
    assert options.eval_csv.endswith(".csv")
