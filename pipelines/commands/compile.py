"""``fec compile``: write the pipeline as the file Kubeflow Pipelines takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from fec import command
from fec.errors import ConfigurationError
from pipelines.graph.options import CompileOptions

SUMMARY = "Write the pipeline as YAML, for the KFP UI, `kfp pipeline create` or `kfp run create`."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="fec_pipeline.yaml", help="the file to write (default: %(default)s)")
    command.add_options(parser, CompileOptions)


def run(options: argparse.Namespace) -> int:
    compile_options = command.parameters_from(CompileOptions, options)
    output = Path(options.output)
    if output.suffix not in (".yaml", ".yml"):
        raise ConfigurationError(f"output {options.output!r}: expected a name that ends in .yaml")
    if not output.absolute().parent.is_dir():
        raise ConfigurationError(f"output {options.output!r}: there is no folder {output.parent}")
    compile_options.check_images()

    from kfp import compiler

    from pipelines.graph import limits
    from pipelines.pipeline import pipeline

    compiler.Compiler().compile(pipeline_func=pipeline(compile_options), package_path=str(output))
    limits.check(output, compile_options.max_groups)
    print(output)
    return 0
