"""The files an image is built from, as ``.dockerignore`` picks them: listed and packed."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fec.errors import ConfigurationError


@dataclass(frozen=True)
class Rule:
    """A line of ``.dockerignore``: its ``path``, what that matches, and whether it is taken back in."""

    path: str
    pattern: re.Pattern[str]
    included: bool

    def may_be_below(self, folder: str) -> bool:
        """Whether it may match something in ``folder`` that does not match ``folder`` itself."""
        return any(sign in self.path for sign in "*?[\\") or self.path.startswith(f"{folder}/")


def rules(text: str) -> tuple[Rule, ...]:
    """The rules of a ``.dockerignore`` file, in its order; the last one that matches a path decides.

    The syntax is Docker's (https://docs.docker.com/build/concepts/context/#dockerignore-files): ``*`` and ``?`` stay
    within a name, ``**`` spans any number of folders, ``!`` takes back in, ``#`` in the first column is a comment.
    """
    found = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        included = pattern.startswith("!")
        path = str(PurePosixPath("/", pattern.removeprefix("!").strip())).strip("/")
        if path:
            found.append(Rule(path, re.compile(_expression(path)), included))
    return tuple(found)


def _expression(path: str) -> str:
    expression = ""
    for part in re.findall(r"\*\*/?|\*|\?|\[[^]]*\]|\\.|.", path):
        if part == "**/":
            expression += "(?:.*/)?"
        elif part == "**":
            expression += ".*"
        elif part == "*":
            expression += "[^/]*"
        elif part == "?":
            expression += "[^/]"
        elif part.startswith("["):
            expression += part
        else:
            expression += re.escape(part.removeprefix("\\") or part)
    return f"{expression}(?:/.*)?"  # what matches a folder matches all below it


def ignored(path: str, among: tuple[Rule, ...]) -> bool:
    """Whether the rules leave ``path`` (relative, with ``/``) out."""
    decided = False
    for rule in among:
        if rule.pattern.fullmatch(path):
            decided = not rule.included
    return decided


def _has_files(folder: str, among: tuple[Rule, ...]) -> bool:
    """Whether files of ``folder`` may be in the context; an environment of 60,000 that none is of is not walked."""
    return not ignored(folder, among) or any(rule.included and rule.may_be_below(folder) for rule in among)


def context_files(build_dir: Path) -> Iterator[Path]:
    """Every file of the build context below ``build_dir``, sorted; ConfigurationError if it has no Dockerfiles."""
    if not (build_dir / "images").is_dir():
        raise ConfigurationError(
            f"build dir {str(build_dir)!r}: there is no folder images in it; name a checkout of the project"
        )
    ignore_file = build_dir / ".dockerignore"
    among = rules(ignore_file.read_text()) if ignore_file.exists() else ()
    for folder, folders, names in os.walk(build_dir):
        below = (Path(folder, name).relative_to(build_dir).as_posix() for name in sorted(folders) if name != ".git")
        folders[:] = [PurePosixPath(path).name for path in below if _has_files(path, among)]
        for name in sorted(names):
            path = Path(folder, name)
            if not ignored(path.relative_to(build_dir).as_posix(), among):
                yield path


def pack(build_dir: Path) -> bytes:
    """The build context as a gzipped tar: the same files give the same bytes, whenever and by whom."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in context_files(build_dir):
            member = tar.gettarinfo(path, path.relative_to(build_dir).as_posix())
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = 0
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            if member.isfile():
                with open(path, "rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)
    return packed.getvalue()
