"""What the columns of the dataset's tables are (``fec.dataset``), by name, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IMAGES: Final[Mapping[str, str]] = {
    "split": "train or eval",
    "image_id": "hash of the URL, 16 hex digits",
    "url": "as the list has it",
    "host_key": "registrable domain or address: what one rate limit covers",
    "shard": "whose task fetches it",
    "outcome": "what became of it (fec.outcomes.ImageOutcome); null: not tried yet",
    "detail": "why, in words",
    "attempts": "requests it took",
    "finished_at": "when that was",
    "http_status": "of the last answer",
    "final_url": "where redirects led",
    "archive": "the web archive it was looked for in when its host had it no more; null: in none",
    "archive_outcome": "what came of that; fetched: it is the archive's",
    "sha256": "of the original's bytes, 64 hex digits; null unless it was fetched",
    "bytes": "length of the original",
}

FACES: Final[Mapping[str, str]] = {
    "split": "train or eval",
    "face_id": "hash of URL and box, 16 hex digits",
    "image_id": "of its image",
    "shard": "of its image",
    "outcome": "what became of it (fec.outcomes.FaceOutcome); null: not looked at yet",
    "detail": "why, in words",
    "confidence": "0..1 on the detector's own scale; null where nothing was found",
    "detector": "what looked for it",
    "left": "edge of the published box, fraction of the image's width",
    "right": "edge of the published box, fraction of the image's width",
    "top": "edge of the published box, fraction of the image's height",
    "bottom": "edge of the published box, fraction of the image's height",
    "image_width": "pixels, as a viewer turns it",
    "image_height": "pixels, as a viewer turns it",
    "found_left": "edge of the face that was found, fraction of the crop's width",
    "found_right": "edge of the face that was found, fraction of the crop's width",
    "found_top": "edge of the face that was found, fraction of the crop's height",
    "found_bottom": "edge of the face that was found, fraction of the crop's height",
    "blur": "variance of the crop's Laplacian at 160 pixels; below 100 it is blurred",
    "roll": "degrees by which the eyes are turned clockwise",
    "yaw": "how far the nose is to the right of the eyes' middle, in distances of the eyes",
    "pitch": "how far down from the eyes to the mouth the nose is; about 0.6 from the front",
    "crop": "path of the crop below the root; null unless the outcome is ok",
    "crop_sha256": "of the crop's bytes, 64 hex digits",
}

TRIPLETS: Final[Mapping[str, str]] = {
    "split": "train or eval",
    "line": "of the list, from 1: names the triplet within its split",
    "face_a": "id of its first face",
    "face_b": "id of its second face",
    "face_c": "id of its third face",
    "type": "1, 2 or 3: ONE_, TWO_ or THREE_CLASS_TRIPLET",
    "votes": "the face least like the others, 1..3, by each annotator",
    "annotators": "who voted, in the same order",
    "odd_one_out": "the consensus, 1..3; null where there is none",
    "survived": "whether it is among the records: three good faces and a consensus; null: not collected yet",
    "record_shard": "in which record file it is",
}
