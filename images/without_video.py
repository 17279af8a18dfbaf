"""Take FFmpeg out of an installed OpenCV: ``python3 images/without_video.py /opt/fec``. Needs gcc and binutils.

No step opens a video, and the wheel brings 34 MB for it, with an OpenSSL that is out of support. The libraries cv2
is linked with are replaced by ones of the same name and symbol versions whose functions end the process.
Runs in the build stage of an image.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# The libraries cv2 calls, by the names of their symbol versions; and what only these need.
REPLACED = {
    "LIBAVCODEC": "libavcodec",
    "LIBAVFORMAT": "libavformat",
    "LIBAVUTIL": "libavutil",
    "LIBSWSCALE": "libswscale",
}
REMOVED = ("libswresample", "libvpx", "libdav1d", "libssl", "libcrypto", "libdrm")

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static void absent(void) { fputs("video is not in this image\\n", stderr); abort(); }
"""


def without_video(site_packages: Path) -> None:
    """Replace and remove FFmpeg's libraries beside ``cv2``."""
    libraries = site_packages / "opencv_python_headless.libs"
    wanted = _run(
        ["nm", "-D", "--undefined-only", "--with-symbol-versions", str(site_packages / "cv2" / "cv2.abi3.so")]
    )
    symbols: dict[str, list[str]] = {}
    for name, version in re.findall(r" U (\w+)@(\w+)$", wanted, re.MULTILINE):
        symbols.setdefault(version, []).append(name)
    for version, names in symbols.items():
        if library := REPLACED.get(version.rpartition("_")[0]):
            (replaced,) = libraries.glob(f"{library}-*.so.*")
            _replace(replaced, version, sorted(names))
    for library in REMOVED:
        for removed in libraries.glob(f"{library}-*.so.*"):
            removed.unlink()


def _replace(library: Path, version: str, names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "absent.c")
        source.write_text(SOURCE + "".join(f"void {name}(void) {{ absent(); }}\n" for name in names))
        exported = Path(folder, "exported.map")
        exported.write_text(f"{version} {{ global: *; }};\n")
        library.unlink()
        options = ["-shared", "-fPIC", "-Os", "-s", "-w", "-fno-builtin", f"-Wl,-soname,{library.name}"]
        _run(["gcc", *options, f"-Wl,--version-script={exported}", "-o", str(library), str(source)])


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - nm and gcc, with our arguments


if __name__ == "__main__":
    for environment in sys.argv[1:]:
        for found in sorted(Path(environment).glob("lib/python3*/site-packages")):
            without_video(found)
