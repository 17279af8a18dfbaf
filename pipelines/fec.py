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
from pipelines.definitions import share
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
        faced_weights: str,
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
            requests_per_second=requests_per_second,
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
                root=root,
                split=split,
                group=fetched.output,
                detector=detector,
                min_confidence=min_confidence,
                faced_weights=faced_weights,
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
        retry_transient_after: float = 3600.0,
        detector: str = "yunet",
        min_confidence: float = 0.7,
        faced_weights: str = "",
        image_size: int = 64,
        model: str = "tiny",
        train_steps: int = 200,
        seed: int = 0,
    ) -> str:
        """Google's Facial Expression Comparison dataset, from its lists of URLs to a trained embedding.

        Args:
            train_csv: Path or URL (http, https, gs, s3) of the train annotations, the CSV or FEC_dataset.zip.
            eval_csv: Path or URL of the eval annotations; may be the same FEC_dataset.zip.
            root: Where everything is kept, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX, or a folder all tasks share.
            num_train_shards: Shards the train images are spread over, a directory of output each.
            num_eval_shards: Shards the eval images are spread over.
            max_shards: A trial, only as much of each split as fills this many shards; 0 for all.
            max_groups: Tasks a loop over shards is cut into, 200 at most; each handles several shards.
            allow_network: CIDRs of addresses beside the public ones that images may come from.
            requests_per_second: Requests a second to one host, over the whole run and all its tasks.
            retry_transient_after: Seconds after which a later run tries passing failures (time-outs, 5xx) again.
            detector: Face detector, yunet or faced.
            min_confidence: Confidence from which a face counts as verified, 0 to 1 on the detector's own scale.
            faced_weights: Folder with the weights of faced, for detector faced only.
            image_size: Pixels a side of the square faces in the records.
            model: Model to train.
            train_steps: Training steps.
            seed: Of the records' order and of training.

        Returns:
            The report's path.
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
            "faced_weights": faced_weights,
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

    return share(fec)


fec = pipeline(CompileOptions())
