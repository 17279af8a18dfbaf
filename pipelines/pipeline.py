"""The pipeline: FEC's two lists of URLs in, a trained embedding and its report out.

Both ``fec compile`` and ``kfp dsl compile --py pipelines/pipeline.py`` make the same file of it.
"""

import contextlib
from typing import Any, Dict, List, NamedTuple

from kfp import dsl

from components.collect.component import collect
from components.datagen.component import datagen
from components.download.component import download
from components.evaluate.component import evaluate
from components.faces.component import faces
from components.plan.component import plan
from components.summarize.component import summarize
from components.train.component import train
from fec.layout import EVAL, TRAIN
from pipelines.graph import spot
from pipelines.graph.definitions import share
from pipelines.graph.options import T2T, CompileOptions
from pipelines.graph.tasks import Placement, data_task, evaluate_task, summary_task, train_task
from pipelines.t2t.component import t2t_datagen, t2t_train


# The groups of record shards, and what the records are made of.
class Prepared(NamedTuple):
    groups: List[str]
    triplets: dsl.Dataset


T2T_HPARAMS = "percep_similarity_triplet_emb_tiny"


def pipeline(options: CompileOptions) -> Any:
    """The KFP pipeline with the engine settings ``options``."""
    spot_selector = dict(spot.NODE_SELECTOR) if options.spot else {}
    spot_tolerations = [dict(spot.TOLERATION)] if options.spot else []
    accelerator = options.training_accelerator
    accelerator_selector = dict(accelerator.node_selector) if accelerator else {}
    accelerator_tolerations = [dict(toleration) for toleration in accelerator.tolerations] if accelerator else []
    # Nothing inside an exit handler can be given back.
    given_back: Any = None if options.exit_handler else str

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
        data_image: str,
        plan_cpu: str,
        plan_memory: str,
        download_cpu: str,
        download_memory: str,
        faces_cpu: str,
        faces_memory: str,
        collect_cpu: str,
        collect_memory: str,
        datagen_cpu: str,
        datagen_memory: str,
        data_node_selector: Dict[str, str],
        data_tolerations: List[Dict[str, str]],
    ) -> Prepared:
        """From the annotations of one split to its records."""

        def on_data_nodes(task: Any, cpu: Any, memory: Any) -> None:
            image = data_image if options.placement else options.data_image
            data_task(task, options, Placement(image, cpu, memory, data_node_selector, data_tolerations))

        planned = plan(
            root=root,
            split=split,
            annotations=annotations,
            num_shards=num_shards,
            max_shards=max_shards,
            max_groups=max_groups,
            requests_per_second=requests_per_second,
        )
        on_data_nodes(planned, plan_cpu, plan_memory)
        with dsl.ParallelFor(planned.output, parallelism=options.parallelism) as group:
            fetched = download(
                root=root,
                split=split,
                group=group,
                allow_network=allow_network,
                requests_per_second=requests_per_second,
                retry_transient_after=retry_transient_after,
            )
            on_data_nodes(fetched, download_cpu, download_memory)
            checked = faces(
                root=root,
                split=split,
                group=fetched.output,
                detector=detector,
                min_confidence=min_confidence,
                faced_weights=faced_weights,
            )
            on_data_nodes(checked, faces_cpu, faces_memory)
        collected = collect(root=root, split=split, seed=seed, max_groups=max_groups).after(checked)
        on_data_nodes(collected, collect_cpu, collect_memory)
        groups = collected.outputs["Output"]
        with dsl.ParallelFor(groups, parallelism=options.parallelism) as record_group:
            written = datagen(root=root, split=split, group=record_group, image_size=image_size)
            on_data_nodes(written, datagen_cpu, datagen_memory)
        return Prepared(groups=groups, triplets=collected.outputs["triplets"])

    @dsl.pipeline(name="fec")
    def fec(
        train_csv: str,
        eval_csv: str,
        root: str,
        num_train_shards: int = 2000,
        num_eval_shards: int = 200,
        max_shards: int = 0,
        max_groups: int = options.max_groups,
        allow_network: List[str] = [],
        requests_per_second: float = 20.0,
        retry_transient_after: float = 3600.0,
        detector: str = "yunet",
        min_confidence: float = 0.7,
        faced_weights: str = "",
        image_size: int = 64,
        model: str = T2T_HPARAMS if options.trainer == T2T else "tiny",
        train_steps: int = 200,
        seed: int = 0,
        data_image: str = options.data_image,
        train_image: str = options.train_image,
        evaluate_image: str = options.evaluate_image,
        plan_cpu: str = "1",
        plan_memory: str = "4Gi",
        download_cpu: str = "2",
        download_memory: str = "4Gi",
        faces_cpu: str = "3",
        faces_memory: str = "6Gi",
        collect_cpu: str = "1",
        collect_memory: str = "4Gi",
        datagen_cpu: str = "3",
        datagen_memory: str = "6Gi",
        train_cpu: str = "4",
        train_memory: str = "16Gi",
        evaluate_cpu: str = "3",
        evaluate_memory: str = "8Gi",
        data_node_selector: Dict[str, str] = spot_selector,
        data_tolerations: List[Dict[str, str]] = spot_tolerations,
        train_node_selector: Dict[str, str] = accelerator_selector,
        train_tolerations: List[Dict[str, str]] = accelerator_tolerations,
        accelerator_type: str = accelerator.resource if accelerator else "",
        accelerator_count: str = str(accelerator.count if accelerator else 0),
    ) -> given_back:
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
            model: Model to train; with trainer t2t, its hparams set.
            train_steps: Training steps.
            seed: Of the records' order and of training.
            data_image: Container image of the data steps.
            train_image: Container image of training.
            evaluate_image: Container image of the evaluation.
            plan_cpu: CPUs of plan, such as 1 or 500m.
            plan_memory: Memory of plan, such as 4Gi.
            download_cpu: CPUs of a download task.
            download_memory: Memory of a download task.
            faces_cpu: CPUs of a faces task, which uses all of them.
            faces_memory: Memory of a faces task.
            collect_cpu: CPUs of collect.
            collect_memory: Memory of collect.
            datagen_cpu: CPUs of a datagen task, which uses all of them.
            datagen_memory: Memory of a datagen task.
            train_cpu: CPUs of training.
            train_memory: Memory of training.
            evaluate_cpu: CPUs of the evaluation.
            evaluate_memory: Memory of the evaluation.
            data_node_selector: Labels of the nodes for the data steps and the evaluation, as JSON.
            data_tolerations: Taints these steps tolerate, a JSON list of objects with key, operator, value, effect.
            train_node_selector: Labels of the nodes for training, as JSON.
            train_tolerations: Taints training tolerates, as JSON.
            accelerator_type: Resource training asks for, nvidia.com/gpu or google.com/tpu; empty for none.
            accelerator_count: How many of it.

        Returns:
            The report's path; with trainer t2t, the run's name.
        """
        both = {
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
            "data_image": data_image,
            "plan_cpu": plan_cpu,
            "plan_memory": plan_memory,
            "download_cpu": download_cpu,
            "download_memory": download_memory,
            "faces_cpu": faces_cpu,
            "faces_memory": faces_memory,
            "collect_cpu": collect_cpu,
            "collect_memory": collect_memory,
            "datagen_cpu": datagen_cpu,
            "datagen_memory": datagen_memory,
            "data_node_selector": data_node_selector,
            "data_tolerations": data_tolerations,
        }
        with _ended_by_a_summary(root, options):
            train_split = prepare_split(split=TRAIN, annotations=train_csv, num_shards=num_train_shards, **both)
            # One after the other: a host with images of both splits is asked at its rate, not at twice that.
            eval_split = prepare_split(split=EVAL, annotations=eval_csv, num_shards=num_eval_shards, **both)
            eval_split.after(train_split)
            if not options.placement:
                train_image, evaluate_image = options.train_image, options.evaluate_image
            on_train_nodes = Placement(train_image, train_cpu, train_memory, train_node_selector, train_tolerations)
            if options.trainer == T2T:
                problem = t2t_datagen(root=root, image_size=image_size).after(eval_split)
                last = t2t_train(
                    root=root, problem=problem.output, hparams_set=model, train_steps=train_steps, seed=seed
                )
                data_task(
                    problem,
                    options,
                    Placement(train_image, datagen_cpu, datagen_memory, data_node_selector, data_tolerations),
                )
                train_task(last, options, on_train_nodes, accelerator_type, accelerator_count)
            else:
                trained = train(
                    root=root, triplets=train_split.outputs["triplets"], model=model, steps=train_steps, seed=seed
                ).after(eval_split)
                train_task(trained, options, on_train_nodes, accelerator_type, accelerator_count)
                last = evaluate(
                    root=root,
                    run=trained.outputs["Output"],
                    trained_model=trained.outputs["trained_model"],
                    triplets=eval_split.outputs["triplets"],
                )
                evaluate_task(
                    last,
                    options,
                    Placement(evaluate_image, evaluate_cpu, evaluate_memory, data_node_selector, data_tolerations),
                )
        return None if options.exit_handler else last.outputs["Output"]

    return share(fec)


def _ended_by_a_summary(root: Any, options: CompileOptions) -> contextlib.AbstractContextManager[Any]:
    """A context whose tasks are followed by the summary of the run, however they end; or by nothing."""
    if not options.exit_handler:
        return contextlib.nullcontext()
    summarized = summarize(root=root)
    summary_task(summarized, options)
    handler: contextlib.AbstractContextManager[Any] = dsl.ExitHandler(summarized, name="run")
    return handler


fec = pipeline(CompileOptions())
