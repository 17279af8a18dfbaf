"""A whole run with its root in a bucket gives the bytes of one in a folder, stands verification, and again is free."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from fec import layout
from fec.layout import SPLITS
from fec.storage import open_storage
from pipelines.demo.site import Site
from tests.e2e.conftest import TIMEOUT, Fec
from tests.fec.conftest import BUCKET, google_emulator, s3_server, use_google, use_s3

__all__ = ["google_emulator", "s3_server", "use_google", "use_s3"]

pytestmark = pytest.mark.timeout(4 * TIMEOUT)
SMALL = ("--num-train-shards", "2", "--num-eval-shards", "1", "--max-groups", "2", "--train-steps", "2")


def kept(root: str) -> dict[str, str]:
    """SHA-256 of what must not depend on the kind of root: records, the crops, what was collected, and the model."""
    storage = open_storage(root)
    directories = ["records", "models", *SPLITS, *(layout.collect_dir(split) for split in SPLITS)]
    paths = [entry.path for directory in directories for entry in storage.list(directory)]
    wanted = [path for path in paths if path.endswith((".parquet", ".jpg", ".keras")) or "/fec_base-" in path]
    return {path: hashlib.sha256(storage.read(path)).hexdigest() for path in wanted}


@pytest.fixture(scope="module")
def in_a_folder(fec: Fec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("folder") / "root"
    fec.finish(root, *SMALL)
    return kept(str(root))


@pytest.mark.parametrize("scheme", ["gs", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_bucket_holds_what_a_folder_would(
    request: pytest.FixtureRequest, in_a_folder: dict[str, str], fec: Fec, site: Site, scheme: str
) -> None:
    request.getfixturevalue({"gs": "use_google", "s3": "use_s3"}[scheme])
    root = f"{scheme}://{BUCKET}/whole"
    result = fec.finish(root, *SMALL)
    assert result["report"].startswith(f"{root}/reports/")
    found = kept(root)
    assert {Path(path).suffix for path in found} >= {".parquet", ".jpg", ".keras"}
    assert found == in_a_folder
    verified = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "verify", root], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr

    asked = len(site.requests)
    again = fec.finish(root, *SMALL)
    assert len(site.requests) == asked
    assert again | {"seconds": 0} == result | {"seconds": 0}
    assert kept(root) == found


@pytest.mark.slow
def test_records_in_which_each_face_lies_once_come_to_the_same_model(
    in_a_folder: dict[str, str], fec: Fec, tmp_path: Path
) -> None:
    options = (*SMALL, "--set", "datagen.layout=faces")
    result = fec.finish(tmp_path / "root", *options)
    assert not list((tmp_path / "root" / "records").glob("fec_base-*"))
    models = [
        {digest for path, digest in files.items() if path.endswith("/model.keras")}
        for files in (in_a_folder, kept(str(tmp_path / "root")))
    ]
    assert models[0] == models[1] != set()
    assert fec.finish(tmp_path / "root", *options) | {"seconds": 0} == result | {"seconds": 0}
