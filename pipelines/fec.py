"""The pipeline: FEC's two lists of URLs in, a trained embedding and its report out.

Both ``fec compile`` and ``kfp dsl compile --py pipelines/fec.py`` make the same file of it.
"""

from pathlib import Path
from typing import Any, List

if __name__ == "fec":
    # kfp imports this file by its bare name, which is also that of our package: be that package as well.
    __path__ = [str(Path(__file__).parents[1] / "fec")]

from kfp import dsl

from components.collect.component import collect
from components.datagen.component import datagen
from components.download.component import download
from components.evaluate.component import evaluate
from components.faces.component import faces
from components.plan.component import plan
from components.train.component import train
from fec.layout import EVAL, TRAIN
from pipelines.options import CompileOptions, data_task, train_task


def pipeline(options: CompileOptions) -> Any:
    """The KFP pipeline with the engine settings ``options``."""

    @dsl.pipeline(name="prepare-split")
    def prepare_split(
        split: str,
        annotations: str,
        root: str,
        num_shards: int,
        max_shards: int,
        max_groups: int,
        allow_network: List[str],
        requests_per_second: float,
        retry_transient_after: float,
        detector: str,
        min_confidence: float,
        image_size: int,
        seed: int,
    ) -> List[str]:
        """From the annotations of one split to its records; gives the groups of record shards."""
        planned = plan(
            root=root,
            split=split,
            annotations=annotations,
            num_shards=num_shards,
            max_shards=max_shards,
            max_groups=max_groups,
        )
        data_task(planned, options)
        with dsl.ParallelFor(planned.output, parallelism=options.parallelism) as group:
            fetched = download(
                root=root,
                split=split,
                group=group,
                allow_network=allow_network,
                requests_per_second=requests_per_second,
                retry_transient_after=retry_transient_after,
            )
            checked = faces(
                root=root, split=split, group=fetched.output, detector=detector, min_confidence=min_confidence
            )
            data_task(fetched, options)
            data_task(checked, options)
        collected = collect(root=root, split=split, seed=seed, max_groups=max_groups).after(checked)
        data_task(collected, options)
        with dsl.ParallelFor(collected.output, parallelism=options.parallelism) as record_group:
            written = datagen(root=root, split=split, group=record_group, image_size=image_size)
            data_task(written, options)
        return collected.output  # type: ignore[no-any-return]  # a channel, which stands for the list

    @dsl.pipeline(name="fec")
    def fec(
        train_csv: str,
        eval_csv: str,
        root: str,
        num_train_shards: int = 2000,
        num_eval_shards: int = 200,
        max_shards: int = 0,
        max_groups: int = 100,
        allow_network: List[str] = [],
        requests_per_second: float = 20.0,
        retry_transient_after: float = 0.0,
        detector: str = "yunet",
        min_confidence: float = 0.7,
        image_size: int = 64,
        model: str = "tiny",
        train_steps: int = 200,
        seed: int = 0,
    ) -> str:
        """Google's Facial Expression Comparison dataset, from its lists of URLs to a trained embedding.

        Args:
            train_csv: Path or URL of the train annotations, the CSV or FEC_dataset.zip.
        """
        shared = {
            "root": root,
            "max_shards": max_shards,
            "max_groups": max_groups,
            "allow_network": allow_network,
            "requests_per_second": requests_per_second,
            "retry_transient_after": retry_transient_after,
            "detector": detector,
            "min_confidence": min_confidence,
            "image_size": image_size,
            "seed": seed,
        }
        train_split = prepare_split(split=TRAIN, annotations=train_csv, num_shards=num_train_shards, **shared)
        eval_split = prepare_split(split=EVAL, annotations=eval_csv, num_shards=num_eval_shards, **shared)
        trained = train(root=root, model=model, steps=train_steps, seed=seed).after(train_split, eval_split)
        report = evaluate(root=root, run=trained.output)
        train_task(trained, options)
        train_task(report, options)
        return report.output  # type: ignore[no-any-return]

    return fec


fec = pipeline(CompileOptions())
