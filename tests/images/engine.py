"""A docker engine, and a stand-in for the base image, where there is neither: for ``make test-images``.

No registry can be reached where these tests run, so the base image is made with debootstrap: what
python:3.11-slim-bookworm is, Debian with Python and pip. This machine's mirror, certificates and pip settings
are what it is made with.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.images import apt_sources

CACHE = Path(os.environ.get("FEC_TEST_IMAGES_CACHE") or Path.home() / ".cache" / "fec" / "test-images")
SUITE = "bookworm"
BASE_IMAGE = f"fec-test-base:{SUITE}"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"

# Bytes for the images, the layers they are built from and what pip unpacks.
NEEDED = 12e9

# What Debian's own slim images leave out.
SLIMMED = ("var/cache/apt", "var/lib/apt/lists", "var/log", *(f"usr/share/{name}" for name in ("doc", "locale", "man")))


class Unavailable(Exception):
    """There is no engine here and none can be started; the message says why."""


def answers(*options: str) -> bool:
    """Whether an engine answers where ``options`` say, or else the environment."""
    try:
        return subprocess.run(["docker", *options, "version"], capture_output=True, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def described() -> str:
    """The engine's version and how it stores layers, for the log: vfs, where overlays cannot be, takes far longer."""
    template = "{{.ServerVersion}}, storage driver {{.Driver}}"
    return subprocess.run(["docker", "info", "--format", template], capture_output=True, text=True).stdout.strip()


@contextmanager
def running() -> Iterator[None]:
    """An engine while the context lasts: the one that runs, or one of our own, stopped at the end."""
    if shutil.which("docker") is None:
        raise Unavailable("docker is not installed")
    if answers():
        yield
        return
    if shutil.which("dockerd") is None:
        raise Unavailable("no docker engine answers, and dockerd is not installed")
    if os.geteuid() != 0:
        raise Unavailable("no docker engine answers, and only root can start one")
    CACHE.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(CACHE).free) < NEEDED:
        raise Unavailable(f"{free / 1e9:.0f} GB are free below {CACHE}, and an engine needs {NEEDED / 1e9:.0f}")
    with _started(CACHE / "engine") as address:
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = address
        try:
            yield
        finally:
            del os.environ["DOCKER_HOST"]
            if before is not None:
                os.environ["DOCKER_HOST"] = before


@contextmanager
def _started(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    address = f"unix://{folder}/docker.sock"
    # However this process ends, the engine ends with it, and its containers with the engine.
    command = ["setpriv", "--pdeathsig", "TERM", "dockerd"]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none", "-H", address]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "dockerd.pid")]
    with open(folder / "dockerd.log", "w") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not answers("-H", address):
            if daemon.poll() is not None or time.monotonic() > deadline:
                last = (folder / "dockerd.log").read_text().strip().splitlines()[-1:]
                raise Unavailable(f"dockerd does not start: {' '.join(last)}")
            time.sleep(0.2)
        yield address
    finally:
        daemon.terminate()
        try:
            daemon.wait(60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        # The network of the host, which dockerd mounts for its containers and leaves mounted.
        subprocess.run(["umount", str(folder / "exec" / "netns" / "default")], capture_output=True)


def base_image() -> str:
    """The name of the image to build on: FEC_TEST_BASE_IMAGE, or the stand-in, made if need be."""
    if named := os.environ.get("FEC_TEST_BASE_IMAGE"):
        return named
    if subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True).returncode:
        packed = CACHE / f"{SUITE}.tar"
        if not packed.exists():
            _bootstrap(packed)
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        subprocess.run(["docker", "import", "--change", path, str(packed), BASE_IMAGE], check=True, capture_output=True)
    tried = subprocess.run(
        ["docker", "run", "--rm", "--network", "host", BASE_IMAGE, "true"], capture_output=True, text=True, timeout=120
    )
    if tried.returncode:
        raise Unavailable(f"the engine starts no container: {tried.stderr.strip()}")
    return BASE_IMAGE


def _bootstrap(packed: Path) -> None:
    if shutil.which("debootstrap") is None:
        raise Unavailable("debootstrap is not installed")
    if (mirror := apt_sources.mirror(SUITE)) is None:
        raise Unavailable(f"apt's sources have no Debian {SUITE}; name a mirror in {apt_sources.VARIABLE}")
    root = CACHE / SUITE
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mknod(root.parent / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        (root.parent / "null").unlink()
    except OSError as error:
        raise Unavailable(f"debootstrap makes device nodes, and {root.parent} takes none: {error.strerror}") from None
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), mirror]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if made.returncode:
        raise RuntimeError(f"debootstrap failed: {made.stdout[-2000:]}")
    for name in SLIMMED:
        for path in (root / name).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in sorted((root / "usr/lib").glob("python3*/**/__pycache__")):
        shutil.rmtree(path)
    if Path("/", CERTIFICATES).exists():
        shutil.copy(Path("/", CERTIFICATES), root / CERTIFICATES)
    unfinished = packed.with_suffix(".part")
    subprocess.run(["tar", "-C", str(root), "-cf", str(unfinished), "."], check=True)
    unfinished.rename(packed)
    shutil.rmtree(root)


def pip_settings() -> list[str]:
    """Options of ``fec images build`` that let pip inside a build reach what pip reaches here."""
    settings = {"PIP_INDEX_URL": os.environ.get("PIP_INDEX_URL", "")}
    settings["PIP_CERT"] = f"/{CERTIFICATES}" if os.environ.get("PIP_CERT") else ""
    return [option for name, value in settings.items() if value for option in ("--build-arg", f"{name}={value}")]
