"""What the compiled pipeline asks of the engine for 2,000 + 200 shards: python benchmarks/pipeline.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kfp import compiler

from pipelines.graph import limits
from pipelines.graph.chain import SECONDS_A_POD, longest_chain
from pipelines.graph.options import CompileOptions
from pipelines.pipeline import pipeline

NUM_TRAIN_SHARDS, NUM_EVAL_SHARDS = 2000, 200
WIDTHS = (8, 10, 8, 11, 27, 13, 9, 9, 10)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "fec_pipeline.yaml")
        compiler.Compiler().compile(pipeline_func=pipeline(CompileOptions()), package_path=str(package))
        print(
            f"{NUM_TRAIN_SHARDS:,} + {NUM_EVAL_SHARDS} shards; groups of both splits together, as max_groups has them"
        )
        heads = ("groups", "file", "pods", "argument", "installation", "bytes a pod", "spec", "state", "of 1 MiB")
        print("".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True)))
        for installation in (limits.STOCK, limits.PLAIN):
            for groups in (2, 22, 66, 80, 110):
                load = limits.load(package, groups, installation)
                share = (load.spec_bytes + load.state_bytes) / limits.MAX_WORKFLOW_BYTES
                cells = (
                    f"{groups}",
                    f"{load.file_bytes / 1024:.1f} KB",
                    f"{load.pods:,}",
                    f"{load.argument_bytes / 1024:.1f} KB",
                    installation.name,
                    f"{load.state_bytes / load.pods:,.0f}",
                    f"{load.spec_bytes / 1024:.0f} KB",
                    f"{load.state_bytes / 1024:.0f} KB",
                    f"{share:.0%}",
                )
                print("".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)))
            most = limits.most(package, 1000, installation)
            print(f"{installation.name}: {most} groups fit, with a tenth of the tasks tried twice")
        chain = longest_chain(package)
        print(f"{chain} pods one upon the other: {chain * SECONDS_A_POD / 60:.1f} minutes where there is little to do")


if __name__ == "__main__":
    main()
