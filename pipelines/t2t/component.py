"""Both Tensor2Tensor steps as Kubeflow components."""

from kfp import dsl

from fec.images import T2T_IMAGE


@dsl.component(base_image=T2T_IMAGE, install_kfp_package=False)
def t2t_datagen(root: str, problem: str = "fec_base", image_size: int = 64) -> str:
    """Make the records of a Tensor2Tensor Problem with the real t2t-datagen, unless they are there.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        problem: The Problem, fec_base (all triplets) or fec_tiny (a sample).
        image_size: Side of the square faces in the records, pixels.

    Returns:
        The problem.
    """
    from fec.command import reported
    from fec.task_records import recorded
    from pipelines.t2t import datagen_step

    with reported(), recorded(root, "t2t_datagen"):
        return datagen_step.run(datagen_step.Parameters(root=root, problem=problem, image_size=image_size))


@dsl.component(base_image=T2T_IMAGE, install_kfp_package=False)
def t2t_train(
    root: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    problem: str = "fec_base",
    hparams_set: str = "percep_similarity_triplet_emb_tiny",
    train_steps: int = 200,
    eval_steps: int = 0,
    seed: int = 0,
    run: str = "",
    checkpoint_every: int = 100,
) -> str:
    """Train and evaluate with the real t2t-trainer, and go on where a killed training stopped.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        report: The run on one page.
        metrics: Triplet accuracy on the dev records.
        problem: Whose records, fec_base (all triplets) or fec_tiny (a sample).
        hparams_set: Of the model, percep_similarity_triplet_emb_tiny or percep_similarity_triplet_emb.
        train_steps: Batches to train on.
        eval_steps: Batches of dev records to evaluate on; 0 is all there are.
        seed: Of the weights.
        run: Name of the run's folders; by default t2t and a fingerprint.
        checkpoint_every: Steps between checkpoints.

    Returns:
        The run's name.
    """
    from fec.artifacts import publish_report
    from fec.command import reported
    from fec.task_records import recorded
    from pipelines.t2t import training_step

    with reported(), recorded(root, "t2t_train"):
        name = training_step.run(
            training_step.Parameters(
                root=root,
                problem=problem,
                hparams_set=hparams_set,
                train_steps=train_steps,
                eval_steps=eval_steps,
                seed=seed,
                run=run,
                checkpoint_every=checkpoint_every,
            )
        )
        publish_report(root, name, report, metrics)
        return name
