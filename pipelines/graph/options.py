"""What is fixed when the pipeline is compiled: the shape of the run, and the defaults of its form."""

from dataclasses import dataclass
from typing import Any

from components.plan.parameters import refuse_groups
from fec.errors import ConfigurationError
from fec.images import REGISTRY, image
from fec.layout import MAX_GROUPS
from fec.parameters import Checked, parameter
from pipelines.graph.accelerators import TPU_RESOURCE, Accelerator, accelerator
from pipelines.graph.form import CLUSTER, refuse_options

# A loop of more iterations comes near the limits of the engine's own bookkeeping (about 1 MiB a run).
MAX_PARALLELISM = MAX_GROUPS

KERAS, T2T = "keras", "t2t"
TRAINERS = (KERAS, T2T)


def _name(text: str) -> str:
    good = text and not any(character.isspace() for character in text)
    return "" if good else "expected a name without spaces"


@dataclass(frozen=True)
class CompileOptions(Checked):
    """Engine settings, each also an option of ``fec compile``.

    Raises ConfigurationError for a value the engine or GKE would refuse or misunderstand.
    """

    parallelism: int = parameter(
        help=f"groups of one loop that run at a time, 1 to {MAX_PARALLELISM}", default=50, refuse=refuse_groups
    )
    max_groups: int = parameter(
        help=f"tasks a loop over shards is cut into, 1 to {MAX_GROUPS}: the default in the run's form",
        default=CLUSTER.max_groups,
        refuse=refuse_groups,
    )
    retries: int = parameter(
        help="how often a failed task starts again, each time where it stopped", default=3, at_least=0
    )
    backoff_seconds: int = parameter(help="seconds before the first retry", default=60, at_least=0)
    backoff_factor: float = parameter(help="each later retry waits this many times longer", default=2.0, at_least=1)
    backoff_max_seconds: int = parameter(help="the longest wait before a retry, in seconds", default=3600, at_least=0)
    data_timeout_seconds: int = parameter(
        help="seconds after which one attempt of a data task is ended, 0: never", default=24 * 3600, at_least=0
    )
    train_timeout_seconds: int = parameter(
        help="seconds after which one attempt of training is ended, 0: never", default=48 * 3600, at_least=0
    )
    trainer: str = parameter(
        help=f"what trains: {' or '.join(TRAINERS)} (Tensor2Tensor)", default=KERAS, choices=TRAINERS
    )
    accelerator: str = parameter(
        help="of the training task: gpu (any NVIDIA GPU), a GKE name such as nvidia-l4, or a TPU such as v5e; "
        "none by default",
        default="",
    )
    accelerator_count: int = parameter(help="GPUs; chips of a TPU follow from its topology", default=0, at_least=0)
    topology: str = parameter(help="of a TPU, such as 2x4", default="")
    spot: bool = parameter(help="run the data steps on spot nodes of GKE", default=False)
    registry: str = parameter(help="where the images are", default=REGISTRY, refuse=_name)
    tag: str = parameter(help="of the images", default="latest", refuse=_name)
    shm_gib: int = parameter(
        help="GiB of memory at most for /dev/shm of training, 0: the engine's 64 MiB", default=2, at_least=0
    )
    scratch_gib: int = parameter(
        help="GiB of the node's disk at most for a task's unfinished work, 0: none but the container's own",
        default=50,
        at_least=0,
    )
    caching: bool = parameter(
        help="let the engine reuse a task's outputs; every step knows by itself what is done", default=False
    )
    placement: bool = parameter(
        help="have CPU, memory, images, node selectors, tolerations and accelerator in the run's form; without, the "
        "engine's own defaults hold",
        default=True,
    )
    secret: str = parameter(
        help="a Kubernetes Secret whose AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL tasks get as "
        "environment, for an s3 root",
        default="",
    )
    options: dict[str, Any] = parameter(
        "the default of the form's options, by step, such as faces.crop_quality=90",
        default=dict,
        refuse=refuse_options,
    )
    exit_handler: bool = parameter(help="end with a summary of the run, also of one that failed", default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.training_accelerator is not None and self.trainer == T2T:
            raise ConfigurationError(
                f"accelerator {self.accelerator!r} with trainer t2t: its TensorFlow is for the CPU alone; leave the "
                "accelerator out, or take trainer keras"
            )

    @property
    def training_accelerator(self) -> Accelerator | None:
        """What the training task asks for beside CPU and memory."""
        if self.accelerator:
            return accelerator(self.accelerator, self.accelerator_count, self.topology)
        if self.accelerator_count or self.topology:
            given = f"accelerator_count {self.accelerator_count}" if self.accelerator_count else "topology"
            raise ConfigurationError(f"{given} without an accelerator: name its kind too, --accelerator gpu say")
        return None

    @property
    def data_image(self) -> str:
        return image("data", self.registry, self.tag)

    @property
    def train_image(self) -> str:
        """The image of the training task: it depends on the trainer and on what it trains on."""
        found = self.training_accelerator
        on_tpu = found is not None and found.resource == TPU_RESOURCE
        return image("t2t" if self.trainer == T2T else "train-tpu" if on_tpu else "train", self.registry, self.tag)

    @property
    def evaluate_image(self) -> str:
        """Evaluation takes no accelerator."""
        return image("train", self.registry, self.tag)


# kfp.local runs at most two iterations at a time and waits in place before a retry: a run on one machine
# ends at once instead, and is started again by hand; it says itself how it ended.
LOCAL = CompileOptions(
    parallelism=2,
    retries=0,
    data_timeout_seconds=0,
    train_timeout_seconds=0,
    shm_gib=0,
    scratch_gib=0,
    placement=False,
    exit_handler=False,
)
