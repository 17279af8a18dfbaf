"""The exit handler of the pipeline."""

from kfp import dsl

from fec.images import DATA_IMAGE


@dsl.component(base_image=DATA_IMAGE, install_kfp_package=False)
def summarize(root: str, status: dsl.PipelineTaskFinalStatus, summary: dsl.Output[dsl.Markdown]) -> str:
    """Write down how the run ended, how far it came, and where to look: also when it failed.

    Args:
        root: Storage root: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        status: How the run ended; the engine fills it in.
        summary: The summary as a page.

    Returns:
        The path of the summary.
    """
    from components.summarize.parameters import Parameters
    from components.summarize.step import run
    from fec.command import reported

    with reported():
        return run(
            Parameters(
                root=root,
                run=status.pipeline_job_resource_name,
                state=status.state,
                error=status.error_message or "",
                page=summary.path,
            )
        )
