"""What the server makes of a pipeline it is given: the parsed specification, and what its runs must be given."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any, Final

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_server.contract import Refused

# Of one run-time parameter, as the backend has it by default.
MAX_PARAMETER_BYTES: Final = 10_000
_TYPES: Final = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


@dataclass(frozen=True)
class Pipeline:
    """A specification that parsed, as the API shows it."""

    spec: Any
    document: dict[str, Any]

    def check_parameters(self, given: dict[str, Any]) -> None:
        """Raises Refused unless ``given`` are parameters of the pipeline, of their types, and none is missing."""
        declared = self.spec.root.input_definitions.parameters
        for name, value in given.items():
            if name not in declared:
                raise Refused(f"the pipeline has no parameter {name!r}")
            kind = pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(declared[name].parameter_type)
            wanted = _TYPES[kind]
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):  # type: ignore[arg-type]
                raise Refused(f"parameter {name!r}: {value!r} is no {kind}")
            if len(str(value).encode()) > MAX_PARAMETER_BYTES:
                raise Refused(f"parameter {name!r} is longer than {MAX_PARAMETER_BYTES} bytes")
        for name, parameter in declared.items():
            if name not in given and not parameter.is_optional and not parameter.HasField("default_value"):
                raise Refused(f"parameter {name!r} is missing")


def parse_yaml(data: bytes) -> Pipeline:
    """A compiled pipeline: its specification, and the platform's if there is a second document."""
    try:
        documents = [document for document in yaml.load_all(data, Loader=yaml.CSafeLoader) if document]
    except yaml.YAMLError as error:
        raise Refused(f"the upload is not YAML: {error}") from None
    if not 1 <= len(documents) <= 2:
        raise Refused(f"the upload has {len(documents)} documents: expected one or two")
    return _parse(documents[0], documents[1] if len(documents) == 2 else None)


def parse_document(document: dict[str, Any]) -> Pipeline:
    """A pipeline in the body of a run: the specification alone, or with the platform's beside it."""
    if "pipeline_spec" in document:
        return _parse(document["pipeline_spec"], document.get("platform_spec"))
    return _parse(document, None)


def _parse(spec: Any, platform: Any) -> Pipeline:
    try:
        parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        if platform is not None:
            json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise Refused(f"the pipeline is no PipelineSpec: {error}") from None
    if not parsed.pipeline_info.name or not parsed.root.dag.tasks:
        raise Refused("the pipeline has no name or no tasks")
    return Pipeline(parsed, spec if platform is None else {"pipeline_spec": spec, "platform_spec": platform})


def form_parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart form by name."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts: dict[str, bytes] = {}
    for part in message.get_payload():
        assert isinstance(part, Message)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        parts[str(part.get_param("name", header="content-disposition"))] = payload
    return parts
