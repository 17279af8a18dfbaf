"""What the compiled pipeline asks of the engine for 2,000 + 200 shards: python benchmarks/pipeline.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kfp import compiler

from pipelines.graph import limits
from pipelines.graph.options import CompileOptions
from pipelines.pipeline import pipeline

NUM_TRAIN_SHARDS, NUM_EVAL_SHARDS = 2000, 200


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "fec_pipeline.yaml")
        compiler.Compiler().compile(pipeline_func=pipeline(CompileOptions()), package_path=str(package))
        print(f"{NUM_TRAIN_SHARDS:,} + {NUM_EVAL_SHARDS} shards; each loop at its widest")
        print(f"{'groups':>8}{'file':>10}{'pods':>8}{'at a time':>11}{'longest argument':>18}{'workflow (est.)':>17}")
        for groups in (50, 100, 200):
            load = limits.check(package, groups)
            print(
                f"{groups:>8}{load.file_bytes / 1024:>7.1f} KB{load.pods:>8,}{load.parallelism:>11}"
                f"{load.argument_bytes / 1024:>15.1f} KB{load.workflow_bytes / 2**20:>13.2f} MiB"
            )


if __name__ == "__main__":
    main()
