"""The directory for ``--t2t_usr_dir``: importing it registers the Problems, the model and its hparams.

Runs in Tensor2Tensor's own environment (images/t2t/requirements.txt), not in the main one.
"""

from pipelines.t2t import compat

compat.mend()

from pipelines.t2t import model, problems  # noqa: E402

__all__ = ["model", "problems"]
