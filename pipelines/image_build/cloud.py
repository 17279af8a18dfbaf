"""Builds and pushes images with Google Cloud Build: uploads the source, follows the log, gives the digest.

What is built is ``images/cloudbuild.yaml``, which ``gcloud builds submit`` takes as well.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fec.errors import ConfigurationError, FecError, RunFailed
from pipelines.image_build.context import pack
from pipelines.image_build.recipe import Recipe
from pipelines.image_build.source import image_name, read_source

CONFIG = "images/cloudbuild.yaml"

# Cloud Build takes substitutions of at most this many characters each.
MAX_SUBSTITUTION = 4000

# Lines of the log repeated in the error, for those who see nothing else.
_LAST_LINES = 5


@dataclass(frozen=True)
class Cloud:
    """Where to build: a project, a bucket of it for source and logs, a region, and the clients that reach them."""

    project: str
    bucket: str
    region: str
    builds: Any
    storage: Any
    poll_seconds: float = 2.0


@dataclass(frozen=True)
class Built:
    """A finished build: its id and the digest of the image it pushed."""

    build_id: str
    digest: str


def connect(project: str = "", bucket: str = "", region: str = "global") -> Cloud:
    """Reach Cloud Build and Cloud Storage with the application default credentials.

    ``project`` defaults to that of the credentials, ``bucket`` to gcloud's own ``PROJECT_cloudbuild``.
    """
    try:
        import google.auth
        import google.auth.exceptions
        from google.cloud import storage
        from google.cloud.devtools import cloudbuild_v1
    except ImportError:
        raise ConfigurationError("Cloud Build needs its client: pip install 'fec[gcb]'") from None
    try:
        credentials, found = google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        raise ConfigurationError("no Google credentials; run: gcloud auth application-default login") from None
    project = project or found or ""
    if not project:
        raise ConfigurationError("no Google Cloud project is set; name it with --gcb-project")
    return Cloud(
        project=project,
        bucket=bucket or f"{project}_cloudbuild",
        region=region,
        builds=cloudbuild_v1.CloudBuildClient(credentials=credentials),
        storage=storage.Client(project=project, credentials=credentials),
    )


def gcb_build_and_push(
    image_tag: str,
    build_dir: Path,
    cache_from: Sequence[str] = (),
    *,
    arguments: Mapping[str, str] | None = None,
    cloud: Cloud | None = None,
    log: TextIO | None = None,
) -> Built:
    """Build an image on Cloud Build and push it to the registry its reference names.

    Packs the build context of ``build_dir``, uploads it, submits the build, writes the build's log to ``log``
    (standard error) as it grows and returns when the build has ended. ``image_tag`` is a full reference as
    ``generate_image_tag`` makes them: its name says which Dockerfile is built. ``arguments`` are the build arguments
    (default: those that describe the checkout), ``cloud`` is where (default: ``connect()``).

    Raises ConfigurationError where Google refuses the request, RunFailed with the build's own error where it fails.
    An interrupted call cancels the build.
    """
    from google.api_core.exceptions import GoogleAPICallError

    log = log or sys.stderr
    cloud = cloud or connect()
    recipe = Recipe(
        name=image_name(image_tag),
        reference=image_tag,
        build_dir=build_dir,
        source=read_source(build_dir),
        build_args=arguments or {},
        cache_from=tuple(cache_from),
    )
    with _refused_as_configuration(cloud):
        source = _upload(recipe, cloud)
        operation = cloud.builds.create_build(
            request={
                "parent": f"projects/{cloud.project}/locations/{cloud.region}",
                "project_id": cloud.project,
                "build": _build(recipe, cloud, source),
            }
        )
    build_id = operation.metadata.build.id
    print(f"Cloud Build {build_id}: {operation.metadata.build.log_url}", file=log)
    try:
        build, tail = _follow(cloud, build_id, log)
    except KeyboardInterrupt:
        cloud.builds.cancel_build(project_id=cloud.project, id=build_id)
        raise
    except GoogleAPICallError as error:
        raise RunFailed(f"Cloud Build {build_id}: lost sight of the build: {error.message}") from None
    if build.status.name != "SUCCESS":
        raise RunFailed(_failure(build, tail))
    return Built(build_id=build_id, digest=build.results.images[0].digest)


def write_sbom(built: Built, cloud: Cloud, target: Path) -> None:
    """Write the bill of materials of the image a build made to ``target``."""
    target.write_bytes(
        cloud.storage.bucket(cloud.bucket).blob(f"sbom/{built.build_id}/sbom.cdx.json").download_as_bytes()
    )


def _upload(recipe: Recipe, cloud: Cloud) -> str:
    """Put the packed build context below a name that is its hash; the name. The same source is put once."""
    packed = pack(recipe.build_dir)
    name = f"source/{hashlib.sha256(packed).hexdigest()}.tgz"
    bucket = cloud.storage.lookup_bucket(cloud.bucket)
    if bucket is None:
        raise ConfigurationError(
            f"there is no bucket gs://{cloud.bucket}; make it with: "
            f"gcloud storage buckets create gs://{cloud.bucket} --project {cloud.project}"
        )
    blob = bucket.blob(name)
    if not blob.exists():
        blob.upload_from_string(packed, content_type="application/gzip")
    return name


def _build(recipe: Recipe, cloud: Cloud, source: str) -> Any:
    import yaml
    from google.cloud.devtools import cloudbuild_v1
    from google.protobuf import json_format

    document = yaml.safe_load((recipe.build_dir / CONFIG).read_text())
    document["substitutions"] = _substitutions(recipe, cloud)
    document["source"] = {"storageSource": {"bucket": cloud.bucket, "object": source}}
    document["logsBucket"] = f"gs://{cloud.bucket}/logs"
    document["tags"] = [f"fec-{recipe.name}"]
    build = cloudbuild_v1.Build()
    json_format.ParseDict(document, cloudbuild_v1.Build.pb(build))
    return build


def _substitutions(recipe: Recipe, cloud: Cloud) -> Mapping[str, str]:
    arguments = [f"{name}={value}" for name, value in recipe.arguments().items()]
    for word in (*arguments, *recipe.cache_from):
        if any(character.isspace() for character in word):
            raise ConfigurationError(f"build argument {word!r}: Cloud Build is given them by words; leave out spaces")
    found = {
        "_IMAGE": recipe.reference,
        "_NAME": recipe.name,
        "_BUCKET": cloud.bucket,
        "_BUILD_ARGS": " ".join(arguments),
        "_CACHE_FROM": " ".join(recipe.cache_from),
    }
    for name, value in found.items():
        if len(value) > MAX_SUBSTITUTION:
            raise ConfigurationError(f"{name} is {len(value)} characters; Cloud Build takes {MAX_SUBSTITUTION}")
    return found


def _follow(cloud: Cloud, build_id: str, log: TextIO) -> tuple[Any, list[str]]:
    """Copy the build's log to ``log`` until the build has ended; the build, and the last lines of its log."""
    from google.cloud.devtools import cloudbuild_v1

    name = f"projects/{cloud.project}/locations/{cloud.region}/builds/{build_id}"
    request = {"name": name, "project_id": cloud.project, "id": build_id}
    status = cloudbuild_v1.Build.Status
    unfinished = {status.STATUS_UNKNOWN, status.PENDING, status.QUEUED, status.WORKING}
    written = 0
    tail = b""
    while True:
        build = cloud.builds.get_build(request=request)
        # Read after the state: a build that has ended has written all of its log.
        more = _log_from(cloud, build_id, written)
        written += len(more)
        tail = (tail + more)[-4096:]
        log.write(more.decode("utf-8", "replace"))
        log.flush()
        if build.status not in unfinished:
            return build, tail.decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
        time.sleep(cloud.poll_seconds)


def _log_from(cloud: Cloud, build_id: str, offset: int) -> bytes:
    from google.api_core.exceptions import NotFound, RequestRangeNotSatisfiable

    blob = cloud.storage.bucket(cloud.bucket).blob(f"logs/log-{build_id}.txt")
    try:
        return bytes(blob.download_as_bytes(start=offset, raw_download=True, checksum=None))
    except (NotFound, RequestRangeNotSatisfiable):
        return b""


def _failure(build: Any, tail: list[str]) -> str:
    detail = build.failure_info.detail or build.status_detail
    steps = [
        step.id or step.name for step in build.steps if step.status.name in ("FAILURE", "TIMEOUT", "INTERNAL_ERROR")
    ]
    where = f" in step {steps[0]}" if steps else ""
    last = f" Its last words: {' / '.join(line for line in tail if line)}" if tail else ""
    reason = detail or "no reason given"
    return f"Cloud Build {build.id} ended as {build.status.name}{where}: {reason}.{last} ({build.log_url})"


@contextmanager
def _refused_as_configuration(cloud: Cloud) -> Iterator[None]:
    """Errors of Google's own, before a build has begun: refused as asked, or not reached."""
    from google.api_core.exceptions import ClientError, GoogleAPICallError

    try:
        yield
    except FecError:
        raise
    except ClientError as error:
        raise ConfigurationError(f"Google Cloud project {cloud.project!r} refused: {error.message}") from None
    except GoogleAPICallError as error:
        raise RunFailed(f"Google Cloud project {cloud.project!r}: {error.message}") from None
