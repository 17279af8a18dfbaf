"""Records are what TensorFlow writes and reads, byte for byte, and a spoiled one is named."""

import contextlib
import io
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fec import records
from fec.records import SpoiledRecord, TripletExample, TripletReader, Values

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
FEATURES = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.one_of(st.lists(st.binary(), min_size=1), st.lists(INT64, min_size=1), st.lists(FLOAT32, min_size=1)),
    max_size=5,
)
EXAMPLE = TripletExample((b"\xff\xd8a", b"\xff\xd8b" * 200, b"\xff\xd8c"), ("aa", "bb", "cc"), 2, 1, (2, 2, 3, 2, 1, 2))


@settings(deadline=None)
@given(FEATURES)
def test_an_example_decodes_to_what_was_encoded(features: dict[str, Values]) -> None:
    assert records.decode_example(records.encode_example(features)) == features


@given(st.tuples(*[st.binary(max_size=20_000)] * 3), st.lists(st.integers(1, 3), min_size=1, max_size=200))
def test_a_triplet_is_the_bytes_of_its_features(images: tuple[bytes, bytes, bytes], votes: list[int]) -> None:
    payload = TripletExample(images, ("0" * 16, "1" * 16, "é" * 65), 3, 2, votes).encode()
    assert payload == records.encode_example(records.decode_example(payload))
    assert records.decode_example(payload)["image/b"] == [images[1]]


def test_a_triplet_is_read_in_part_as_in_full() -> None:
    read = TripletReader(EXAMPLE.encode())
    assert read.face_ids() == EXAMPLE.face_ids
    assert tuple(map(read.image, range(3))) == EXAMPLE.images
    assert (read.odd_one_out(), read.type(), read.votes()) == (EXAMPLE.odd_one_out, EXAMPLE.type, tuple(EXAMPLE.votes))


@pytest.mark.parametrize("missing", [*records.IMAGE_IDS, records.TRIPLET_CODE, records.TYPE, records.RATING_ALL])
def test_what_a_triplet_does_not_hold_is_an_error_to_ask_for(missing: str) -> None:
    features = records.decode_example(EXAMPLE.encode())
    # A value of another kind is as good as none.
    read = TripletReader(records.encode_example(features | {missing: [0.5]}))
    with pytest.raises(ValueError, match="a triplet without"):
        read.face_ids(), read.odd_one_out(), read.type(), read.votes()


def test_an_example_is_the_bytes_tensorflow_makes() -> None:
    import tensorflow as tf

    def feature(values: Values) -> tf.train.Feature:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def example(features: Mapping[str, Values]) -> tf.train.Example:
        return tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in features.items()}))

    payload = EXAMPLE.encode()
    features = records.decode_example(payload)
    assert tf.train.Example.FromString(payload) == example(features)
    # protobuf leaves the order of a map's entries open, so bytes are compared an entry at a time.
    entries = [example({name: features[name]}).features.SerializeToString() for name in sorted(features)]
    assert payload == _message(entries)


def _message(entries: list[bytes]) -> bytes:
    body = b"".join(entries)
    length, size = bytearray(), len(body)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + bytes(length) + bytes([size]) + body


def test_a_file_is_the_bytes_tensorflow_writes_and_reads(tmp_path: Path) -> None:
    import tensorflow as tf

    payloads = [b"", b"x", EXAMPLE.encode(), bytes(100_000)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    ours = b"".join(records.frame(payload) for payload in payloads)
    assert ours == (tmp_path / "theirs").read_bytes()
    (tmp_path / "ours").write_bytes(ours)
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / "ours"))] == payloads
    assert list(records.read_frames(io.BytesIO(ours))) == payloads


def test_the_votes_become_ratings() -> None:
    example = records.decode_example(EXAMPLE.encode())
    assert example["rating/all"] == [2, 2, 3, 2, 1, 2]
    assert example["rating/mode"] == [2]
    assert math.isclose(float(example["rating/mean"][0]), 2.0)
    assert (example["triplet_code"], example["type"]) == ([2], [1])
    assert [example[name][0] for name in records.IMAGE_IDS] == [b"aa", b"bb", b"cc"]


@pytest.mark.parametrize("cut", [1, 11, 12, 20, 150])
def test_a_truncated_file_is_named(cut: int) -> None:
    whole = records.frame(EXAMPLE.encode()) * 2
    with pytest.raises(SpoiledRecord, match="truncated"):
        list(records.read_frames(io.BytesIO(whole[:-cut])))


def test_any_flipped_byte_is_found() -> None:
    whole = records.frame(EXAMPLE.encode())
    for place in range(len(whole)):
        spoiled = bytearray(whole)
        spoiled[place] ^= 0x10
        with pytest.raises(SpoiledRecord):
            list(records.read_frames(io.BytesIO(bytes(spoiled))))


def test_a_length_that_would_fill_the_memory_is_not_believed() -> None:
    length = struct.pack("<Q", (1 << 30) + 1)
    header = length + struct.pack("<I", records.masked_crc(length))
    with pytest.raises(SpoiledRecord, match="the length of the record at byte 0"):
        list(records.read_frames(io.BytesIO(header)))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_decode_to_something_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        records.decode_example(data)
