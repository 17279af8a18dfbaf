"""How fast images are fetched and stored, beside other clients: python benchmarks/download.py [--urls N] [--memory].

Hosts of its own on eight loopback addresses hand out bodies of the sizes photographs have; one link in ten is dead. The
same URLs go through the download step with its rate lifted, and through the clients of download_clients.py, in turns;
the medians of CPU seconds per 1,000 URLs are printed, without imports. There is no TLS and no distance; the ratios hold
on a busy machine. ``--img2dataset PYTHON`` adds img2dataset, from a Python that has it (pip install img2dataset).

``--memory`` prints the step's peak for ever more tiny pictures, ``--answers`` which odd answers which client takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.abc import MetaPathFinder
from pathlib import Path
from statistics import median
from typing import Any, Final

ROOT_FOLDER: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT_FOLDER))

from benchmarks import odd_answers  # noqa: E402 - the path comes first
from benchmarks.download_clients import CLIENTS, plan  # noqa: E402
from benchmarks.photograph_host import DEAD, HOSTS, TOP_HOST, running, urls  # noqa: E402

MEAN_BYTES: Final = 185_000
TINY_BYTES: Final = 900
TINY: Final = (20_000, 80_000, 160_000)
FETCHING: Final = "  its fetching alone"
STEP: Final = "download step"
IMG2DATASET: Final = "img2dataset, sha256"
_IMG2DATASET: Final = """
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], output_folder=sys.argv[2], output_format="webdataset", processes_count=1,
             thread_count=32, disable_all_reencoding=True, compute_hash="sha256", number_sample_per_shard=1000)
"""


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas wherever it finds it, 30 MB of it; the image that runs the step has none."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def measured(client: str, count: int, port: int, folder: str) -> None:
    """Run one client in this process and print what it took, as JSON."""
    sys.meta_path.insert(0, _WithoutPandas())
    work = CLIENTS[client](urls(count, port) if client != STEP else [], Path(folder))
    before, started = time.process_time(), time.perf_counter()
    fetched = work()
    cpu, seconds = time.process_time() - before, time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"fetched": fetched, "seconds": seconds, "cpu": cpu, "peak": peak}))


def taken(client: str, count: int, port: int) -> Mapping[str, Any]:
    """What one client took, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        if client == STEP:
            prepared = ["--plan", folder, "--urls", str(count), "--port", str(port)]
            subprocess.run([sys.executable, __file__, *prepared], check=True)
        arguments = ["--client", client, "--urls", str(count), "--port", str(port), "--folder", folder]
        done = subprocess.run(
            [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
        result: Mapping[str, Any] = json.loads(done.stdout)
        return result


def with_img2dataset(python: str, count: int, port: int) -> Mapping[str, Any]:
    """What img2dataset takes, less what it takes for ten URLs."""
    took = []
    for some in (10, count):
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder, "urls.txt")
            listed.write_text("\n".join(urls(some, port)))
            script = Path(folder, "fetch.py")
            script.write_text(_IMG2DATASET)
            started = time.perf_counter()
            process = subprocess.Popen(
                [python, str(script), str(listed), f"{folder}/out"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"},
            )
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            stats = [json.loads(path.read_text()) for path in Path(folder, "out").glob("*_stats.json")]
            took.append(
                {
                    "fetched": sum(one["successes"] for one in stats),
                    "seconds": time.perf_counter() - started,
                    "cpu": usage.ru_utime + usage.ru_stime,
                    "peak": usage.ru_maxrss / 1024,
                }
            )
    few, many = took
    return many | {"seconds": many["seconds"] - few["seconds"], "cpu": many["cpu"] - few["cpu"]}


def speed(count: int, rounds: int, img2dataset: str | None, only: str | None) -> None:
    """Print the medians of ``rounds`` runs of every client."""
    names = [name for name in CLIENTS if only is None or only in name] + [IMG2DATASET] * bool(img2dataset)
    results: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    with running(MEAN_BYTES) as port:
        for _ in range(rounds):
            for name in names:
                fetched = (
                    with_img2dataset(str(img2dataset), count, port) if name == IMG2DATASET else taken(name, count, port)
                )
                results[name].append(fetched)
    print(f"{count:,} URLs, {TOP_HOST:.0%} of them at one of {len(HOSTS)} hosts, {DEAD:.0%} dead; medians of {rounds}")
    print(f"{'':25}{'fetched':>9}{'URLs/s':>9}{'CPU s/1000':>12}{'CPU, ratio':>12}{'peak MB':>9}")
    ours = median(one["cpu"] for one in results[names[0]])
    for name, some in results.items():
        cpu = median(one["cpu"] for one in some)
        print(
            f"{name:25}{some[0]['fetched']:>9,}{count / median(one['seconds'] for one in some):>9,.0f}"
            f"{1000 * cpu / count:>12.2f}{cpu / ours:>12.2f}{median(one['peak'] for one in some):>9,.0f}"
        )


def memory() -> None:
    """Print the step's peak for ever more tiny pictures."""
    print(f"{'tiny pictures':>15}{'CPU s/1000':>12}{'peak MB':>9}")
    with running(TINY_BYTES) as port:
        for count in TINY:
            took = taken(STEP, count, port)
            print(f"{count:>15,}{1000 * took['cpu'] / count:>12.2f}{took['peak']:>9,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="clients with this in their name")
    parser.add_argument("--img2dataset", metavar="PYTHON")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--answers", action="store_true")
    for hidden in ("--client", "--plan", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        plan(urls(options.urls, options.port), Path(options.plan))
    elif options.client:
        measured(options.client, options.urls, options.port, options.folder)
    elif options.memory:
        memory()
    elif options.answers:
        odd_answers.show()
    else:
        speed(options.urls, options.rounds, options.img2dataset, options.only)


if __name__ == "__main__":
    main()
