"""A process that read tables ends with the exit code of its work."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fec import tables
from fec.rows import PlannedImage
from fec.storage import open_storage

READ = """
import sys
from fec import tables
from fec.storage import open_storage
for filters in (None, [("shard", "=", 0)]) * 4:
    tables.read_table(open_storage(sys.argv[1]), "images.parquet", filters=filters).to_pylist()
"""


def test_no_process_aborts_after_reading_a_table(tmp_path: Path) -> None:
    rows = [PlannedImage(str(n), f"http://h/{n}", "h", 0) for n in range(100)]
    tables.write_table(open_storage(str(tmp_path)), "images.parquet", tables.from_rows(rows, PlannedImage))

    def read(_: int) -> int:
        return subprocess.run([sys.executable, "-c", READ, str(tmp_path)], check=False, timeout=60).returncode

    # More processes than cores: with Python's memory under Arrow's threads, one in twelve aborted.
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(24))) == [0] * 24
