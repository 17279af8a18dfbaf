"""A root as tables in memory, to be searched: faces, triplets, and which face is in which triplet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fec import layout, tables
from fec.done import read_done
from fec.errors import ConfigurationError
from fec.rows import FACE_COLUMNS
from fec.storage import Storage
from fec.whole_split import planned_images, tried_images, verified_faces
from pipelines.browse.filters import PAGE, Filter
from pipelines.browse.space import Space

# What searching may take beside the tables themselves.
_MEMORY: Final = "300MB"
_THREADS: Final = 2
# Triplets of a face that are shown.
SHOWN_TRIPLETS: Final = 40
# Values of a field that a form offers.
_OFFERED: Final = 200
_IMAGE_COLUMNS: Final = ("url", "host", "image_outcome", "image_detail", "http_status", "final_url")
_PLACE: Final = ("in_split", "in_shard", "segment", "offset", "length", "sha256")
_FACES: Final = ("row", "split", "face_id", "image_id", "shard", "outcome", "detail", "confidence", "crop_name")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A page of faces, and how many there are in all."""

    faces: list[dict[str, Any]]
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))


class Index:
    """The tables of a root. Safe to use from several threads."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.offered = {name: self._values(name) for name in ("outcome", "image_outcome", "host")}
        counts = self.rows("SELECT count(*) faces, (SELECT count(*) FROM triplets) triplets FROM faces")[0]
        self.faces, self.triplets = int(counts["faces"]), int(counts["triplets"])

    def rows(self, query: str, values: Any = ()) -> list[dict[str, Any]]:
        """What a query gives, a dict a row."""
        cursor = self._connection.cursor()
        try:
            found = cursor.execute(query, list(values))
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        finally:
            cursor.close()

    def search(self, wanted: Filter) -> Found:
        """A page of the faces that are ``wanted``."""
        where, values = wanted.where()
        query = (
            f"WITH found AS MATERIALIZED (SELECT row FROM faces WHERE {where}) "  # noqa: S608 - no text of users
            "SELECT split, face_id, outcome, detail, confidence, host, triplets, (SELECT count(*) FROM found) total "
            f"FROM faces SEMI JOIN found USING (row) ORDER BY {wanted.order} LIMIT ? OFFSET ?"
        )
        faces = self.rows(query, [*values, PAGE, (wanted.page - 1) * PAGE])
        if faces:
            return Found(faces, int(faces[0]["total"]))
        counted = self.rows(f"SELECT count(*) total FROM faces WHERE {where}", values)  # noqa: S608
        return Found([], int(counted[0]["total"]))

    def face(self, split: str, face_id: str) -> dict[str, Any] | None:
        """All that is known of a face and of its image; None for a face there is not."""
        query = "SELECT f.*, i.* EXCLUDE (split, image_id) FROM faces f LEFT JOIN images i USING (split, image_id)"
        found = self.rows(f"{query} WHERE f.split = ? AND f.face_id = ?", [split, face_id])
        return found[0] if found else None

    def crop_place(self, split: str, face_id: str) -> dict[str, Any] | None:
        """Where the crop of a face lies, as ``pictures.crop_of`` takes it; None for a face there is not."""
        columns = "split, face_id, shard, outcome, crop_name"
        found = self.rows(f"SELECT {columns} FROM faces WHERE face_id = ? AND split = ?", [face_id, split])  # noqa: S608
        return found[0] if found else None

    def faces_of_image(self, split: str, image_id: str) -> list[dict[str, Any]]:
        """The faces of an image."""
        return self.rows("SELECT * FROM faces WHERE split = ? AND image_id = ? ORDER BY face_id", [split, image_id])

    def triplets_of(self, row: int) -> list[dict[str, Any]]:
        """The first triplets of the face of this ``row``, with the ids of their faces."""
        return self.rows(
            "SELECT t.*, a.face_id a_id, b.face_id b_id, c.face_id c_id, a.outcome a_outcome, b.outcome b_outcome, "
            "c.outcome c_outcome FROM uses u JOIN triplets t ON t.row = u.triplet JOIN faces a ON a.row = t.a "
            "JOIN faces b ON b.row = t.b JOIN faces c ON c.row = t.c WHERE u.face = ? ORDER BY t.line LIMIT ?",
            [row, SHOWN_TRIPLETS],
        )

    def _values(self, column: str) -> list[tuple[str, int]]:
        table = "images" if column == "image_outcome" else "faces"
        query = f"SELECT {column} name, count(*) n FROM {table} GROUP BY 1 ORDER BY n DESC, name LIMIT {_OFFERED}"  # noqa: S608
        return [(row["name"], row["n"]) for row in self.rows(query) if row["name"] is not None]


def build(storage: Storage, space: Space | None) -> Index:
    """The index of what is planned below a root, as far as it has come; ConfigurationError where nothing is."""
    splits = [split for split in layout.SPLITS if read_done(storage, layout.plan_dir(split)) is not None]
    if not splits:
        raise ConfigurationError(f"{storage.root} holds no dataset: no run has planned anything there")
    faces, images, triplets = [], [], []
    first, tried = 0, tried_images(storage)
    for split in splits:
        of_images = _images(storage, split, tried)
        of_faces = _faces(storage, split, of_images, first)
        triplets.append(_triplets(storage, split, of_faces, first, space))
        first += len(of_faces)
        faces.append(of_faces)
        images.append(of_images)
    connection = duckdb.connect(":memory:", config={"threads": _THREADS, "memory_limit": _MEMORY})
    # Nothing that a query says could reach a file or the network.
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    for name, parts in (("all_faces", faces), ("images", images), ("all_triplets", triplets)):
        connection.register(f"{name}_arrow", pa.concat_tables(parts))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_arrow")  # noqa: S608
        connection.unregister(f"{name}_arrow")
        parts.clear()
    connection.execute("CREATE TABLE triplets AS SELECT row_number() OVER () - 1 AS row, * FROM all_triplets")
    # With what is asked of a triplet beside each use of a face, no search needs a join.
    said = "row AS triplet, type, agreement, CASE WHEN answer = 0 THEN 'tie' WHEN answer = odd THEN 'right' \
WHEN answer <> odd THEN 'wrong' END AS answer FROM triplets"
    connection.execute(
        f"CREATE TABLE uses AS SELECT * FROM (SELECT a AS face, {said} UNION ALL SELECT b, {said} UNION ALL "  # noqa: S608
        f"SELECT c, {said}) WHERE face >= 0 ORDER BY face, triplet"
    )
    connection.execute(
        "CREATE TABLE faces AS SELECT f.*, coalesce(n, 0) AS triplets FROM all_faces f LEFT JOIN "
        "(SELECT face, count(*) n FROM uses GROUP BY face) ON face = row ORDER BY row"
    )
    connection.execute("CREATE INDEX by_id ON faces (face_id)")
    connection.execute("DROP TABLE all_faces; DROP TABLE all_triplets; SET enable_external_access = false")
    tables.release_memory()
    return Index(connection)


def _images(storage: Storage, split: str, tried: pa.Table) -> pa.Table:
    table = planned_images(storage, split, tried)
    renamed = {"host_key": "host", "outcome": "image_outcome", "detail": "image_detail"}
    table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
    table = table.append_column("split", pa.array([split] * len(table), pa.string()))
    return table.select(["split", "image_id", *_IMAGE_COLUMNS, *_PLACE])


def _faces(storage: Storage, split: str, images: pa.Table, first: int) -> pa.Table:
    """Every planned face of a split, from row ``first`` on, with what became of it and of its image."""
    planned = tables.read_table(
        storage,
        f"{layout.plan_dir(split)}/{layout.FACES_TABLE}",
        columns=["face_id", "image_id", "shard", "left", "right", "top", "bottom"],
    )
    known = verified_faces(storage, split, ["face_id", "outcome", "detail", "confidence", "crop_name"])
    at = pc.index_in(planned["face_id"], value_set=known["face_id"])
    columns: dict[str, Any] = {
        "row": pa.array(np.arange(first, first + len(planned), dtype=np.int32)),
        "split": pa.array([split] * len(planned), pa.string()),
        **{name: planned[name] for name in ("face_id", "image_id", "shard", "left", "right", "top", "bottom")},
        **{name: known[name].take(at) for name in ("outcome", "detail", "confidence", "crop_name")},
    }
    of_image = pc.index_in(planned["image_id"], value_set=images["image_id"])
    columns |= {name: images[name].take(of_image) for name in ("url", "host", "image_outcome")}
    # Wider than the tables' 32 bits, a comparison with 0.7 would be one with 0.70000002.
    columns["confidence"] = pc.round(columns["confidence"].cast(pa.float64()), 6)
    columns["outcome"] = pc.fill_null(columns["outcome"], "not_verified_yet")
    return pa.table(columns)


def _triplets(storage: Storage, split: str, faces: pa.Table, first: int, space: Space | None) -> pa.Table:
    """Every planned triplet of a split by the rows of its faces, with the share of votes for its consensus (``odd``,
    null where there is none) and the model's ``answer`` (null where it has none)."""
    ids = faces["face_id"].combine_chunks()
    parts = []
    for batch in tables.read_batches(
        storage, f"{layout.plan_dir(split)}/triplets.parquet", [*FACE_COLUMNS, "line", "type", "votes", "odd_one_out"]
    ):
        rows = [pc.index_in(batch[name], value_set=ids) for name in FACE_COLUMNS]
        votes, odd = batch["votes"], batch["odd_one_out"]
        answers = None if space is None else space.answers([batch[name] for name in FACE_COLUMNS], split)
        parts.append(
            pa.table(
                {
                    "split": pa.array([split] * len(batch), pa.string()),
                    "line": batch["line"],
                    **{
                        name: pc.fill_null(pc.add(place, first), -1).cast(pa.int32())
                        for name, place in zip("abc", rows, strict=True)
                    },
                    "type": batch["type"],
                    "votes": votes,
                    "odd": odd,
                    "agreement": _agreement(votes, odd),
                    "answer": pa.nulls(len(batch), pa.int8()) if answers is None else answers,
                }
            )
        )
    return pa.concat_tables(parts)


def _agreement(votes: pa.Array, odd: pa.Array) -> pa.Array:
    """The share of each list of ``votes`` that names ``odd``; null where that is null or there are no votes."""
    counts = pc.list_value_length(votes).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(votes).to_numpy(zero_copy_only=False)
    of = pc.list_parent_indices(votes).to_numpy()
    wanted = pc.fill_null(odd, 0).to_numpy(zero_copy_only=False)
    hits: NDArray[np.float64] = np.bincount(of[flat == wanted[of]], minlength=len(counts)).astype(np.float64)
    share = hits / np.maximum(counts, 1)
    return pa.array(np.round(share, 4), mask=(counts == 0) | (wanted == 0))
