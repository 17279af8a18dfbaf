"""``tf.train.Example`` for protobuf's own parser, described here: TensorFlow, which has it, is not needed to read.

As in tensorflow/core/example/{example,feature}.proto; only numbers and types matter, so the names are our own.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "fec.example"
_Field: Final = descriptor_pb2.FieldDescriptorProto


@cache
def example_class() -> Any:
    """The class of the message; ``features.feature`` is a map, each value one of three lists."""
    file = descriptor_pb2.FileDescriptorProto(name="fec/example.proto", package=_PACKAGE, syntax="proto3")
    for name, kind in (("Bytes", _Field.TYPE_BYTES), ("Floats", _Field.TYPE_FLOAT), ("Int64s", _Field.TYPE_INT64)):
        _add(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("Bytes", "Floats", "Int64s"), start=1):
        _add(feature, name.lower(), number, name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, _Field.TYPE_STRING)
    _add(entry, "value", 2, "Feature")
    _add(features, "feature", 1, "Features.FeatureEntry", repeated=True)
    _add(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _add(message: Any, name: str, number: int, kind: Any, *, repeated: bool = False) -> Any:
    """A field of a built-in type, or of the message called ``kind``."""
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = kind
    return field
