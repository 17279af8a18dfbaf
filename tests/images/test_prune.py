"""What is cut from an environment, on real libraries."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pyarrow

from fec.pixels import FORMATS
from tests.images.scripts import script

prune = script("prune")
without_video = script("without_video")


def test_a_stripped_library_still_loads(tmp_path: Path) -> None:
    library = next((Path(numpy.__file__).parents[1] / "numpy.libs").glob("libquadmath*"))
    copy = Path(shutil.copy(library, tmp_path))
    prune.strip(copy)
    assert ctypes.CDLL(str(copy)).quadmath_snprintf


def test_stripping_saves_the_symbols_of_a_debugger(tmp_path: Path) -> None:
    library = Path(pyarrow.__file__).parent / "libarrow_acero.so"
    library = next(library.parent.glob("libarrow_acero.so*"))
    copy = Path(shutil.copy(library, tmp_path))
    prune.strip(copy)
    assert copy.stat().st_size < 0.9 * library.stat().st_size


def test_what_is_no_library_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(b"GROUP ( libx.so.1 )")
    prune.strip(tmp_path / "x.so")
    assert (tmp_path / "x.so").read_bytes() == b"GROUP ( libx.so.1 )"


def test_copies_of_a_library_become_links(tmp_path: Path) -> None:
    for name in ("libx.so", "libx.so.1", "libx.so.1.2"):
        (tmp_path / name).write_bytes(b"same")
    (tmp_path / "liby.so").write_bytes(b"other")
    prune.share_copies(tmp_path / "libx.so.1.2")
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.is_symlink()] == ["libx.so", "libx.so.1"]


def test_a_pruned_environment_still_does_what_the_steps_need(tmp_path: Path) -> None:
    installed = Path(numpy.__file__).parents[1]
    site_packages = tmp_path / "lib" / "python3.11" / "site-packages"
    site_packages.mkdir(parents=True)
    for name in (
        "numpy",
        "numpy.libs",
        "onnxruntime",
        "pyarrow",
        "cv2",
        "opencv_python_headless.libs",
        "PIL",
        "pillow.libs",
        "simplejpeg",
    ):
        shutil.copytree(installed / name, site_packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    without_video.without_video(site_packages)
    saved = prune.prune(site_packages)
    weights = Path(__file__).parents[2] / "components/faces/weights/face_detection_yunet_2023mar.onnx"
    program = f"""
import cv2, io, onnxruntime, numpy as np, pyarrow as pa, pyarrow.parquet as pq, pyarrow.compute, pyarrow.dataset
from PIL import Image, ImageCms
import simplejpeg
assert all(one.__file__.startswith({str(site_packages)!r}) for one in (cv2, onnxruntime))
grey = np.full((64, 64, 3), 127, np.uint8)
assert cv2.imdecode(cv2.imencode(".jpg", grey)[1], 1).shape == grey.shape
assert simplejpeg.decode_jpeg(cv2.imencode(".jpg", grey)[1].tobytes()).shape == grey.shape
ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("sRGB"), "RGB", "RGB")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
network = onnxruntime.InferenceSession({str(weights)!r}, options, providers=["CPUExecutionProvider"])
seen = cv2.dnn.blobFromImage(np.full((640, 640, 3), 127, np.uint8), swapRB=True)
assert network.run(["cls_8"], {{"input": seen}})[0].shape == (1, 6400, 1)
assert len(cv2.dnn.NMSBoxes([(0, 0, 9, 9), (1, 0, 9, 9)], [0.9, 0.8], 0.5, 0.3)) == 1
for format in {FORMATS!r}:
    data = io.BytesIO()
    Image.fromarray(grey).save(data, format)
    assert Image.open(data, formats=[format]).convert("RGB").size == (64, 64)
table = pa.BufferOutputStream()
pq.write_table(pa.table({{"a": [1, 2, 3]}}), table, compression="zstd")
assert pq.read_table(pa.BufferReader(table.getvalue()), filters=[("a", ">", 1)]).num_rows == 2
assert np.linalg.norm(np.eye(3)) > 1 and np.random.default_rng(0).random() > 0
"""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(site_packages)!r})\n{program}"]
    quiet = os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=quiet)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert saved > 50e6
