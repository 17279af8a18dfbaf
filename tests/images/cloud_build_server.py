"""A small Cloud Build: the real protocol (gRPC, google.devtools.cloudbuild.v1), builds that really run their steps.

The image of a step is not pulled: its entry point runs on this machine with a ``docker`` that writes down what it was
asked. Source, log and artifacts lie in a Cloud Storage emulator.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.cloud.devtools import cloudbuild_v1
from google.longrunning import operations_pb2  # type: ignore[import-untyped]

Build = cloudbuild_v1.Build
SERVICE = "google.devtools.cloudbuild.v1.CloudBuild"
DIGEST = "sha256:" + "1" * 64

DOCKER = """#!/bin/bash
printf '%s\\n' "$@" > "$(mktemp "$DOCKER_CALLS/$(ls "$DOCKER_CALLS" | wc -l).XXXX")"
case "$1" in
  build) echo "Step 1/1 : FROM scratch"; test -f "$3" || { echo "no $3"; exit 1; }; exit "$DOCKER_BUILD_EXIT" ;;
  create) echo container ;;
  cp) echo '{"bomFormat": "CycloneDX"}' > "$3" ;;
esac
"""


class Refused(Exception):
    """A request that Cloud Build answers with INVALID_ARGUMENT."""


class CloudBuildServer:
    """Cloud Build on loopback; ``docker_exit`` is what each ``docker build`` ends with."""

    def __init__(self, storage: Any, project: str) -> None:
        self.storage = storage
        self.project = project
        self.docker_exit = 0
        self.calls: list[list[str]] = []
        self.builds: dict[str, Any] = {}
        self.cancelled: list[str] = []
        self._running: list[threading.Thread] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, self._handlers())])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def client(self) -> Any:
        """The real client, connected here."""
        from google.cloud.devtools.cloudbuild_v1.services.cloud_build.transports import CloudBuildGrpcTransport

        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        return cloudbuild_v1.CloudBuildClient(transport=CloudBuildGrpcTransport(channel=channel))

    def stop(self) -> None:
        """Stop answering, and let the builds that were started end while there still is a bucket for what they make."""
        self._server.stop(0).wait()
        for thread in self._running:
            thread.join(30)

    def _handlers(self) -> dict[str, Any]:
        def method(call: Any, request: Any, answer: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                call, request_deserializer=request.deserialize, response_serializer=answer
            )

        return {
            "CreateBuild": method(
                self._create, cloudbuild_v1.CreateBuildRequest, operations_pb2.Operation.SerializeToString
            ),
            "GetBuild": method(self._get, cloudbuild_v1.GetBuildRequest, Build.serialize),
            "CancelBuild": method(self._cancel, cloudbuild_v1.CancelBuildRequest, Build.serialize),
        }

    def _create(self, request: Any, context: Any) -> Any:
        build: Any = Build(request.build)
        try:
            if request.parent != f"projects/{self.project}/locations/global":
                context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no permission on {request.parent}")
            packed = self._source(build)
            _check_substitutions(build)
        except Refused as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        build.id = str(uuid.uuid4())
        build.project_id = self.project
        build.status = Build.Status.QUEUED
        build.log_url = f"https://console.cloud.google.com/cloud-build/builds/{build.id}"
        self.builds[build.id] = build
        self._running.append(threading.Thread(target=self._run, args=(build, packed), daemon=True))
        self._running[-1].start()
        operation = operations_pb2.Operation(name=f"operations/build/{self.project}/{build.id}")
        metadata = cloudbuild_v1.BuildOperationMetadata(build=build)
        operation.metadata.Pack(cloudbuild_v1.BuildOperationMetadata.pb(metadata))
        return operation

    def _get(self, request: Any, context: Any) -> Any:
        if request.id not in self.builds:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no build {request.id}")
        return self.builds[request.id]

    def _cancel(self, request: Any, context: Any) -> Any:
        self.cancelled.append(request.id)
        self.builds[request.id].status = Build.Status.CANCELLED
        return self.builds[request.id]

    def _source(self, build: Any) -> bytes:
        source = build.source.storage_source
        blob = self.storage.bucket(source.bucket).blob(source.object_)
        if not blob.exists():
            raise Refused(f"the source gs://{source.bucket}/{source.object_} does not exist")
        return bytes(blob.download_as_bytes())

    def _run(self, build: Any, packed: bytes) -> None:
        time.sleep(0.05)
        build.status = Build.Status.WORKING
        with tempfile.TemporaryDirectory() as folder:
            workspace = Path(folder, "workspace")
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                tar.extractall(workspace, filter="data")
            environment = self._environment(Path(folder))
            log = "starting build\n"
            for step in build.steps:
                ran = subprocess.run(
                    [step.entrypoint, *(_expanded(argument, build) for argument in step.args)],
                    cwd=workspace,
                    env=environment | dict(_expanded(item, build).split("=", 1) for item in step.env),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                log += "".join(f'Step "{step.id}": {line}\n' for line in ran.stdout.splitlines())
                self._put(build, "logs", f"log-{build.id}.txt", log)
                step.status = Build.Status.SUCCESS
                if ran.returncode:
                    step.status = Build.Status.FAILURE
                    break
            self.calls = [path.read_text().splitlines() for path in sorted(Path(folder, "calls").iterdir())]
            self._put(build, "logs", f"log-{build.id}.txt", log + "DONE\n")
            if ran.returncode:
                build.failure_info.detail = f'build step "{step.id}" failed: exited with status {ran.returncode}'
                build.status = Build.Status.FAILURE
                return
            for name in build.artifacts.objects.paths:
                location = _expanded(build.artifacts.objects.location, build).removeprefix("gs://")
                bucket, _, prefix = location.partition("/")
                self.storage.bucket(bucket).blob(prefix + name).upload_from_string((workspace / name).read_bytes())
        build.results.images = [{"name": _expanded(image, build), "digest": DIGEST} for image in build.images]
        build.status = Build.Status.SUCCESS

    def _environment(self, folder: Path) -> dict[str, str]:
        (folder / "calls").mkdir()
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        return {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "DOCKER_CALLS": str(folder / "calls"),
            "DOCKER_BUILD_EXIT": str(self.docker_exit),
        }

    def _put(self, build: Any, folder: str, name: str, text: str) -> None:
        bucket, _, prefix = build.logs_bucket.removeprefix("gs://").partition("/")
        assert prefix == folder
        self.storage.bucket(bucket).blob(f"{prefix}/{name}").upload_from_string(text)


def _texts(build: Any) -> str:
    steps = [text for step in build.steps for text in (*step.args, *step.env)]
    return "\n".join([*steps, *build.images, build.artifacts.objects.location]).replace("$$", "")


def _check_substitutions(build: Any) -> None:
    """As Cloud Build does without ALLOW_LOOSE: what is given is used, what is used is given."""
    given = set(build.substitutions)
    used = set(re.findall(r"\$\{?(_[A-Z0-9_]+)", _texts(build)))
    for key in given:
        if not re.fullmatch(r"_[A-Z0-9_]+", key):
            raise Refused(f"invalid substitution key {key}")
    if given != used:
        raise Refused(f"substitutions differ from those of the template: {sorted(given ^ used)}")


def _expanded(text: str, build: Any) -> str:
    values = {**build.substitutions, "BUILD_ID": build.id, "PROJECT_ID": build.project_id}
    return re.sub(r"\$\$|\$\{?([A-Z_][A-Z0-9_]*)\}?", lambda found: values[found[1]] if found[1] else "$", text)
