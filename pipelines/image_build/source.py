"""What an image is built from: the checkout, its revision and the name it gives."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fec.errors import ConfigurationError
from fec.images import image

IMAGES = ("data", "data-faced", "train", "train-tpu", "t2t")
"""Each is a folder of ``images`` with a Dockerfile."""

# Of a git revision: enough to be unique for good, short enough to read.
_REVISION_LENGTH = 12


@dataclass(frozen=True)
class Source:
    """A checkout as the labels of an image tell of it.

    ``revision`` is git's full name of the commit, with ``-dirty-`` and a hash of the changes where there are some;
    ``created`` is RFC 3339, from SOURCE_DATE_EPOCH or else the commit's own time, so that it does not depend on when
    the image was built.
    """

    revision: str
    version: str
    url: str
    created: str


def read_source(build_dir: Path) -> Source:
    """The source of what lies in ``build_dir``; ConfigurationError where that is no git checkout of this project."""
    commit = _git(build_dir, "rev-parse", "HEAD")
    changes = _changes(build_dir)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _git(build_dir, "show", "--no-patch", "--format=%ct", "HEAD")
    if not epoch.isdigit():
        raise ConfigurationError(f"SOURCE_DATE_EPOCH {epoch!r}: expected seconds since 1970")
    project = tomllib.loads((build_dir / "pyproject.toml").read_text())["project"]
    return Source(
        revision=f"{commit}-dirty-{changes}" if changes else commit,
        version=str(project["version"]),
        url=_remote(build_dir),
        created=datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def generate_image_tag(registry: str, name: str, build_dir: Path = Path()) -> str:
    """The full reference an image of this checkout is pushed under: ``REGISTRY/fec-NAME:REVISION[-dirty-HASH]``.

    REVISION is the first 12 digits of the commit. A checkout with changes is marked dirty, with a hash of them, so
    that no two different sources share a reference. Raises ConfigurationError where ``build_dir`` is no git checkout
    or ``registry`` cannot be one.
    """
    revision, separator, changes = read_source(build_dir).revision.partition("-")
    return reference(registry, name, f"{revision[:_REVISION_LENGTH]}{separator}{changes}")


def reference(registry: str, name: str, tag: str) -> str:
    """``REGISTRY/fec-NAME:TAG``; ConfigurationError where an engine would refuse it."""
    if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?", registry):
        raise ConfigurationError(f"registry {registry!r}: expected HOST[:PORT][/PATH] in lower case, as ghcr.io/me")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag):
        raise ConfigurationError(f"tag {tag!r}: expected at most 128 letters, digits, dots, dashes and underscores")
    return image(name, registry, tag)


def image_name(reference: str) -> str:
    """The name in a reference that ``generate_image_tag`` made: ``data`` of ``ghcr.io/me/fec-data:1``."""
    name = reference.rpartition("/")[2].partition(":")[0].removeprefix("fec-")
    if name not in IMAGES:
        raise ConfigurationError(
            f"image {reference!r}: expected REGISTRY/fec-NAME:TAG, NAME one of {', '.join(IMAGES)}"
        )
    return name


def _changes(build_dir: Path) -> str:
    """Eight digits that stand for what differs from the commit; empty if nothing does."""
    changed = _git(build_dir, "diff", "--binary", "--no-ext-diff", "HEAD")
    untracked = _git(build_dir, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    if not changed and untracked == [""]:
        return ""
    found = hashlib.sha256(changed.encode("utf-8", "surrogateescape"))
    for name in filter(None, untracked):
        path = build_dir / name
        found.update(name.encode("utf-8", "surrogateescape") + b"\0")
        found.update(bytes(path.readlink()) if path.is_symlink() else path.read_bytes())
    return found.hexdigest()[:8]


def _remote(build_dir: Path) -> str:
    """The https address of the checkout's origin, without credentials; empty if it has none."""
    url = _git(build_dir, "config", "--default", "", "--get", "remote.origin.url")
    if ssh := re.fullmatch(r"(?:ssh://)?git@([^:/]+)[:/](.+)", url):
        url = f"https://{ssh[1]}/{ssh[2]}"
    url = re.sub(r"^(https?://)[^/@]*@", r"\1", url)
    return url.removesuffix(".git") if url.startswith(("http://", "https://")) else ""


def _git(build_dir: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - git itself, with our arguments
            ["git", "-C", str(build_dir), *arguments],  # noqa: S607
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise ConfigurationError("git was not found; install it: an image is named after its revision") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["git failed"])[-1]
        raise ConfigurationError(
            f"build dir {str(build_dir)!r}: {last}; images are built from a git checkout of the project"
        ) from None
    return done.stdout.strip("\n")
