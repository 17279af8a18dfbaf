"""Remove from an installed environment what no step uses at run time: ``python3 images/prune.py /opt/fec``.

Standard library only: it runs in the build stage of every image. A pattern is relative to site-packages.
"""

import shutil
import struct
import sys
from pathlib import Path

# Tests, headers and sources of extension modules, wherever they are.
EVERYWHERE = ("**/tests", "**/testdata", "**/*.pyx", "**/*.pxd", "**/*.h", "**/*.hpp", "**/*.a", "**/*.lib")

PATTERNS = (
    # Arrow's other file systems, formats and its server; fec reads and writes Parquet through fec.storage.
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/libarrow_flight.so.*",
    "pyarrow/libarrow_python_flight.so*",
    "pyarrow/_flight.*",
    "pyarrow/_substrait.*",
    "pyarrow/libarrow_s3.so.*",
    "pyarrow/_s3fs.*",
    "pyarrow/_pyarrow_cpp_tests.*",
    "pyarrow/_orc.*",
    "pyarrow/_dataset_orc.*",
    "pyarrow/_gcsfs.*",
    "pyarrow/_azurefs.*",
    "pyarrow/_hdfs.*",
    "pyarrow/*.cc",
    # Pillow's fonts and windows.
    "PIL/_imagingft.*",
    "PIL/_imagingtk.*",
    "pillow.libs/libbrotli*",
    "pillow.libs/libfreetype-*",
    "pillow.libs/libharfbuzz-*",
    # OpenCV's cascades; the detectors' weights are components/faces/weights.
    "cv2/data/*.xml",
    "cv2/**/*.pyi",
    # onnxruntime's tools for other people's networks, and its library for C, of which Python's has a copy.
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    # NumPy's build tools and the extension modules of its own tests.
    "numpy/_core/*_tests.*",
    "numpy/_core/_simd.*",
    "numpy/f2py",
    "numpy/distutils",
    "numpy/_core/include",
    "numpy/**/*.pyi",
    # KFP's client, compiler and local runners; a pod runs kfp.dsl.executor_main.
    "kfp/cli",
    "kfp/client",
    "kfp/compiler",
    "kfp/components",
    "kfp/init_test.py",
    "kfp/kubeflow_client",
    "kfp/local",
    "kfp/registry",
    "kfp/v2",
    # Cloud Storage's second client, over gRPC.
    "google/cloud/_storage_v2",
    # TensorFlow's headers.
    "tensorflow/include",
)

# Kept of botocore's several hundred services: S3, and what finds its credentials.
BOTOCORE_SERVICES = {"s3", "sts", "sso", "sso-oidc"}


def prune(site_packages: Path) -> int:
    """Remove what matches and give the number of bytes saved."""
    before = size(site_packages)
    for pattern in (*EVERYWHERE, *PATTERNS):
        for path in sorted(site_packages.glob(pattern)):
            remove(path)
    for service in (site_packages / "botocore" / "data").glob("*/"):
        if service.name not in BOTOCORE_SERVICES:
            remove(service)
    for library in sorted((site_packages / "pyarrow").glob("lib*.so.*")):
        share_copies(library)
    for library in sorted(site_packages.rglob("*.so*")):
        if library.is_file() and not library.is_symlink():
            strip(library)
    return before - size(site_packages)


def share_copies(library: Path) -> None:
    """Make the copies of a library under its shorter names links to it, as they were before they were zipped."""
    name = library.name
    while not name.endswith(".so"):
        name = name.rpartition(".")[0]
        copy = library.with_name(name)
        if copy.is_file() and not copy.is_symlink() and copy.read_bytes() == library.read_bytes():
            copy.unlink()
            copy.symlink_to(library.name)


def strip(library: Path) -> None:
    """Cut off what lies behind the last loaded segment of a 64-bit ELF file: symbols and sections for a debugger.

    binutils' strip moves segments, and breaks libraries that auditwheel has patched ("not page-aligned").
    """
    data = bytearray(library.read_bytes())
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", data, 32)
    entry_size, entries = struct.unpack_from("<HH", data, 54)
    end = table + entry_size * entries
    for entry in range(table, end, entry_size):
        _, _, offset, _, _, file_size = struct.unpack_from("<IIQQQQ", data, entry)
        end = max(end, offset + file_size)
    struct.pack_into("<Q", data, 40, 0)  # no section headers,
    struct.pack_into("<HH", data, 60, 0, 0)  # none of them, and none with their names
    library.write_bytes(data[:end])


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing, if a pattern before has removed it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size(folder: Path) -> int:
    """Bytes of the regular files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    for environment in sys.argv[1:]:
        for found in sorted(Path(environment).glob("lib/python3*/site-packages")):
            print(f"{found}: {prune(found) / 1e6:.0f} MB removed")
