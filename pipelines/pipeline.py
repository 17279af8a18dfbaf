"""The pipeline: FEC's two lists of URLs in, a trained embedding and its report out.

Both ``fec compile`` and ``kfp dsl compile --py pipelines/pipeline.py`` make the same file of it.
"""

import contextlib
from typing import Any, Dict, List

from kfp import dsl

from components.collect.component import collect
from components.datagen.component import datagen
from components.download.component import download
from components.evaluate.component import evaluate
from components.faces.component import faces
from components.form import CLUSTER, RunParameters, descriptions
from components.options import checked
from components.placement import PlacementParameters
from components.plan.component import plan
from components.resources import RESOURCES
from components.summarize.component import summarize
from components.train.component import train
from fec.layout import EVAL, TRAIN
from fec.parameters import fields
from pipelines.graph import spot, stages
from pipelines.graph.definitions import deduplicate, described, require, shorten_channels
from pipelines.graph.options import T2T, CompileOptions
from pipelines.graph.tasks import Placement, data_task, evaluate_task, plan_task, summary_task, train_task
from pipelines.t2t.component import t2t_datagen, t2t_train

ABOUT = "Google's Facial Expression Comparison dataset, from its lists of URLs to a trained embedding."

# Before what was compiled, in the pipeline's description.
COMPILED_WITH = "Compiled with: "
# The parameters without a default, as long as nobody says where the images are.
IMAGES = ("data_image", "train_image", "evaluate_image")
T2T_HPARAMS = "percep_similarity_triplet_emb_tiny"


def pipeline(compiled: CompileOptions, until: str = stages.MODEL) -> Any:
    """The KFP pipeline with the engine settings ``compiled``, up to the stage ``until`` of ``stages.STAGES``."""
    spot_selector = dict(spot.NODE_SELECTOR) if compiled.spot else {}
    spot_tolerations = [dict(spot.TOLERATION)] if compiled.spot else []
    accelerator = compiled.training_accelerator
    step_options = checked(compiled.options)
    accelerator_selector = dict(accelerator.node_selector) if accelerator else {}
    accelerator_tolerations = [dict(toleration) for toleration in accelerator.tolerations] if accelerator else []
    # Nothing inside an exit handler can be given back.
    given_back: Any = None if compiled.exit_handler or until != stages.MODEL else str

    def fec(
        train_csv: str,
        eval_csv: str,
        root: str,
        num_train_shards: int = CLUSTER.num_train_shards,
        num_eval_shards: int = CLUSTER.num_eval_shards,
        max_shards: int = RunParameters.max_shards,
        max_groups: int = compiled.max_groups,
        allow_network: List[str] = list(RunParameters.allow_network),
        requests_per_second: float = RunParameters.requests_per_second,
        retry_transient_after: float = RunParameters.retry_transient_after,
        detector: str = RunParameters.detector,
        min_confidence: float = RunParameters.min_confidence,
        detector_weights: str = RunParameters.detector_weights,
        image_size: int = RunParameters.image_size,
        model: str = T2T_HPARAMS if compiled.trainer == T2T else RunParameters.model,
        train_steps: int = RunParameters.train_steps,
        batch_size: int = RunParameters.batch_size,
        learning_rate: float = RunParameters.learning_rate,
        seed: int = RunParameters.seed,
        options: Dict[str, Any] = step_options,
        data_image: str = compiled.data_image,
        train_image: str = compiled.train_image,
        evaluate_image: str = compiled.evaluate_image,
        plan_cpu: str = PlacementParameters.plan_cpu,
        plan_memory: str = PlacementParameters.plan_memory,
        download_cpu: str = PlacementParameters.download_cpu,
        download_memory: str = PlacementParameters.download_memory,
        faces_cpu: str = PlacementParameters.faces_cpu,
        faces_memory: str = PlacementParameters.faces_memory,
        collect_cpu: str = PlacementParameters.collect_cpu,
        collect_memory: str = PlacementParameters.collect_memory,
        datagen_cpu: str = PlacementParameters.datagen_cpu,
        datagen_memory: str = PlacementParameters.datagen_memory,
        train_cpu: str = PlacementParameters.train_cpu,
        train_memory: str = PlacementParameters.train_memory,
        evaluate_cpu: str = PlacementParameters.evaluate_cpu,
        evaluate_memory: str = PlacementParameters.evaluate_memory,
        data_node_selector: Dict[str, str] = spot_selector,
        data_tolerations: List[Dict[str, str]] = spot_tolerations,
        train_node_selector: Dict[str, str] = accelerator_selector,
        train_tolerations: List[Dict[str, str]] = accelerator_tolerations,
        accelerator_type: str = accelerator.resource if accelerator else "",
        accelerator_count: str = str(accelerator.count if accelerator else 0),
    ) -> given_back:
        form = dict(locals())
        if not compiled.placement:
            data_image, train_image = compiled.data_image, compiled.train_image
            evaluate_image = compiled.evaluate_image

        def shown(task: Any, name: str) -> None:
            """The name on the engine's pages; the local runner tells tasks by it, and keeps its own."""
            if compiled.placement:
                task.set_display_name(name)

        def on_data_nodes(task: Any, step: str, prepare: Any = data_task, image: Any = data_image) -> None:
            cpu, memory = form[f"{step}_cpu"], form[f"{step}_memory"]
            asked = RESOURCES[step]
            prepare(task, compiled, Placement(image, cpu, memory, data_node_selector, data_tolerations, asked))

        def prepared(split: str, annotations: Any, num_shards: Any, other_shards: Any, *, after: Any = None) -> Any:
            """From the annotations of one split to its records: its faces, its records, and what has the triplets."""
            planned = plan(
                root=root,
                split=split,
                annotations=annotations,
                num_shards=num_shards,
                max_shards=max_shards,
                other_shards=other_shards,
                max_groups=max_groups,
                requests_per_second=requests_per_second,
                options=options,
            )
            on_data_nodes(planned, "plan", plan_task)
            shown(planned, f"{split} data: plan")
            if after is not None:
                planned.after(after)
            elif compiled.placement:
                to_be_checked = {name: form[name] for name in _checked_by_plan(compiled)}
                planned.inputs.update(to_be_checked)
                planned.register_pipeline_channels(list(to_be_checked.values()))
            if until == stages.PLAN:
                return planned, None, None
            with dsl.ParallelFor(
                planned.output, name=f"{split} data: download, check faces", parallelism=compiled.parallelism
            ) as group:
                fetched = download(
                    root=root,
                    split=split,
                    group=group,
                    allow_network=allow_network,
                    requests_per_second=requests_per_second,
                    retry_transient_after=retry_transient_after,
                    options=options,
                )
                on_data_nodes(fetched, "download")
                shown(fetched, "download")
                verified = faces(
                    root=root,
                    split=split,
                    group=fetched.output,
                    detector=detector,
                    min_confidence=min_confidence,
                    detector_weights=detector_weights,
                    options=options,
                )
                on_data_nodes(verified, "faces")
                shown(verified, "check faces")
            if until == stages.CROPS:
                return verified, None, None
            collected = collect(root=root, split=split, seed=seed, max_groups=max_groups, options=options)
            collected.after(verified)
            on_data_nodes(collected, "collect")
            shown(collected, f"{split} data: keep what survived")
            with dsl.ParallelFor(
                collected.outputs["Output"], name=f"{split} data: write records", parallelism=compiled.parallelism
            ) as record_group:
                written = datagen(root=root, split=split, group=record_group, image_size=image_size, options=options)
                on_data_nodes(written, "datagen")
                shown(written, "write records")
            return verified, written, collected.outputs["triplets"]

        with _ended_by_a_summary(root, data_image, compiled):
            # One after the other: a host with images of both splits is asked at its rate, not at twice that, and what
            # one has fetched is not fetched again. Eval comes first, so that collect can tell which of train's faces
            # it has; its records are written meanwhile.
            eval_faces, eval_records, eval_triplets = prepared(EVAL, eval_csv, num_eval_shards, num_train_shards)
            _, train_records, train_triplets = prepared(
                TRAIN, train_csv, num_train_shards, num_eval_shards, after=eval_faces
            )
            if until != stages.MODEL:
                return None
            on_train_nodes = Placement(
                train_image, train_cpu, train_memory, train_node_selector, train_tolerations, RESOURCES["train"]
            )
            if compiled.trainer == T2T:
                problem = t2t_datagen(root=root, image_size=image_size).after(train_records, eval_records)
                last = t2t_train(
                    root=root, problem=problem.output, hparams_set=model, train_steps=train_steps, seed=seed
                )
                on_data_nodes(problem, "datagen", image=train_image)
                train_task(last, compiled, on_train_nodes, accelerator_type, accelerator_count)
            else:
                trained = train(
                    root=root,
                    triplets=train_triplets,
                    model=model,
                    steps=train_steps,
                    batch_size=batch_size,
                    learning_rate=learning_rate,
                    seed=seed,
                    options=options,
                ).after(train_records, eval_records)
                train_task(trained, compiled, on_train_nodes, accelerator_type, accelerator_count)
                last = evaluate(
                    root=root,
                    run=trained.outputs["Output"],
                    trained_model=trained.outputs["trained_model"],
                    triplets=eval_triplets,
                    options=options,
                )
                on_data_nodes(last, "evaluate", evaluate_task, evaluate_image)
                shown(last, "evaluate, write the report")
        return None if compiled.exit_handler else last.outputs["Output"]

    fec.__doc__ = described(about(compiled), descriptions(), "The report's path; with trainer t2t, the run's name.")
    made = deduplicate(dsl.pipeline(name="fec")(fec))
    if compiled.placement and not compiled.has_images:
        require(made, IMAGES)
    return shorten_channels(made) if compiled.placement else made


def about(compiled: CompileOptions) -> str:
    """What the pipeline does, what a run must be given, and what was compiled: all that the engine's pages show."""
    images = "" if compiled.has_images else ", and the three images"
    compiled_with = f" {COMPILED_WITH}{compiled.described}" if compiled.has_images else ""
    return f"{ABOUT} To be filled in: root, train_csv, eval_csv{images}. Guide: docs/cluster.md.{compiled_with}"


def _checked_by_plan(compiled: CompileOptions) -> list[str]:
    """What the first task is given beside its own inputs: the whole form, to be checked before a loop begins."""
    known = {*(field.name for field in fields(RunParameters)), *(field.name for field in fields(PlacementParameters))}
    own = {"root", "max_shards", "max_groups", "requests_per_second", "options"}
    own |= {"data_image", "plan_cpu", "plan_memory"}
    unknown = {"model"} if compiled.trainer == T2T else set()  # the name of one of Tensor2Tensor's
    return sorted(known - own - unknown)


def _ended_by_a_summary(root: Any, image: Any, options: CompileOptions) -> contextlib.AbstractContextManager[Any]:
    """A context whose tasks are followed by the summary of the run, however they end; or by nothing."""
    if not options.exit_handler:
        return contextlib.nullcontext()
    summarized = summarize(root=root)
    summary_task(summarized, options, image)
    if options.placement:
        summarized.set_display_name("summary of the run")
    handler: contextlib.AbstractContextManager[Any] = dsl.ExitHandler(summarized, name="run")
    return handler


fec = pipeline(CompileOptions())
