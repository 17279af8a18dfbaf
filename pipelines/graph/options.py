"""What is fixed when the pipeline is compiled: the shape of the run, and the defaults of its form."""

from dataclasses import dataclass
from typing import Any

from components.accelerators import TPU_RESOURCE, Accelerator, accelerator
from components.form import CLUSTER, refuse_options
from components.placement import check_accelerator, check_devices
from components.plan.parameters import refuse_groups
from fec.errors import ConfigurationError
from fec.images import REGISTRY, TAG, image
from fec.layout import MAX_GROUPS
from fec.parameters import Checked, fields, parameter
from pipelines.graph import option_words
from pipelines.graph.option_words import IMAGES, Volume
from pipelines.image_build.pinned import read_pinned, refuse_pinned

# A loop of more iterations comes near the limits of the engine's own bookkeeping (about 1 MiB a run).
MAX_PARALLELISM = MAX_GROUPS

KERAS, T2T = "keras", "t2t"
TRAINERS = (KERAS, T2T)


# A year: for a task whose attempts may take as long as they like.
ENDLESS = 365 * 24 * 3600


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
    backoff_factor: int = parameter(
        help="each later retry waits this many times longer, a whole number", default=2, at_least=1
    )
    retry_window_seconds: int = parameter(
        help="seconds after the start of a task's first attempt in which it is tried again, 0: as long as its "
        "time-outs and waits can take",
        default=0,
        at_least=0,
    )
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
    registry: str = parameter(
        help="where the images are, as fec images build was told (else FEC_REGISTRY)",
        default=REGISTRY,
        refuse=option_words.wrong_registry,
    )
    tag: str = parameter(help="of the images (else FEC_TAG)", default=TAG, refuse=option_words.wrong_tag)
    image: tuple[str, ...] = parameter(
        help=f"NAME=REFERENCE of one image, NAME one of {', '.join(IMAGES)}: data=ghcr.io/me/fec-data@sha256:… say",
        default=(),
        refuse=option_words.wrong_images,
    )
    images: str = parameter(
        help="file with the images by digest, as fec images build --push --images FILE wrote it",
        default="",
        refuse=refuse_pinned,
    )
    pull_secret: tuple[str, ...] = parameter(
        help="a Kubernetes Secret with which the images are pulled", default=(), refuse=option_words.wrong_secrets
    )
    volume: tuple[str, ...] = parameter(
        help="pvc:NAME:/PATH or secret:NAME:/PATH, mounted in every task: for weights or keys",
        default=(),
        refuse=option_words.wrong_volumes,
    )
    env: tuple[str, ...] = parameter(
        help="NAME=VALUE in every task's environment", default=(), refuse=option_words.wrong_environment
    )
    shm_gib: int = parameter(
        help="GiB of memory at most for /dev/shm of training, 0: the engine's 64 MiB", default=2, at_least=0
    )
    scratch_gib: int = parameter(
        help="GiB of the node's disk at most for a task's unfinished work, 0: none but the container's own",
        default=50,
        at_least=0,
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
        refuse=option_words.wrong_secret,
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
        booked = self.training_accelerator
        kind, count = (booked.resource, booked.count) if booked else ("", 0)
        check_accelerator(kind, str(count), self.train_image)
        if self.placement:
            check_devices(self.options, kind, count)
        if booked and booked.too_new and "train" not in self._given_images:
            raise ConfigurationError(
                f"accelerator {self.accelerator!r}: fec-train-tpu has a libtpu from before it; give an image that can "
                "drive it, --image train=…"
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

    def retry_window(self, timeout_seconds: int) -> int:
        """Seconds from the start of a task's first attempt in which the engine is to try again.

        By default so many that no attempt is cut off: each may take ``timeout_seconds``, and each wait is as asked.
        """
        if self.retry_window_seconds:
            return self.retry_window_seconds
        if not timeout_seconds:
            return ENDLESS
        waits: int = sum(self.backoff_seconds * self.backoff_factor**number for number in range(self.retries))
        return min(ENDLESS, (self.retries + 1) * timeout_seconds + waits)

    @property
    def volumes(self) -> list[Volume]:
        return [Volume.of(text) for text in self.volume]

    @property
    def environment(self) -> dict[str, str]:
        return dict(text.split("=", 1) for text in self.env)

    @property
    def has_images(self) -> bool:
        """Whether it is said where every image is."""
        return bool(self.registry) or all(self._pinned(use, name) for use, name in self._names.items())

    def check_images(self) -> None:
        """Raises ConfigurationError where nobody said where the images are: there are none that all could pull."""
        if not self.has_images:
            raise ConfigurationError(
                "no images: give --registry and --tag as fec images build had them, or --images FILE that it wrote, or "
                "--image data=… --image train=… --image evaluate=…"
            )

    @property
    def described(self) -> str:
        """What was compiled, in a line for the engine's pages: images, accelerator and what is not as by default."""
        changed = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(type(self))
            if field.name not in ("registry", "tag", "image", "images", "options", "env")
            and getattr(self, field.name) != field.default
        ]
        names = dict.fromkeys((self.data_image, self.train_image, self.evaluate_image))
        of_steps = (f"{step}.{name}={value}" for step, given in self.options.items() for name, value in given.items())
        return ", ".join([*names, *changed, *of_steps])

    @property
    def _given_images(self) -> dict[str, str]:
        return dict(text.split("=", 1) for text in self.image)

    @property
    def data_image(self) -> str:
        return self._image("data")

    @property
    def faced_image(self) -> str:
        """That of the data steps with the detector faced; ConfigurationError where nobody said where it is."""
        found = self._pinned("data", "data-faced")
        if not (found or self.registry):
            raise ConfigurationError(
                f"detector 'faced' needs the image data-faced: build and push it with fec images build --only "
                f"data-faced, and give it as data_image=… or in --images {self.images or 'FILE'}"
            )
        return found or image("data-faced", self.registry, self.tag)

    @property
    def train_image(self) -> str:
        """The image of the training task: it depends on the trainer and on what it trains on."""
        return self._image("train")

    @property
    def evaluate_image(self) -> str:
        """Evaluation takes no accelerator."""
        return self._image("evaluate")

    @property
    def _names(self) -> dict[str, str]:
        """Which image each use takes."""
        found = self.training_accelerator
        on_tpu = found is not None and found.resource == TPU_RESOURCE
        return {
            "data": "data",
            "train": "t2t" if self.trainer == T2T else "train-tpu" if on_tpu else "train",
            "evaluate": "train",
        }

    def _pinned(self, use: str, name: str) -> str:
        return self._given_images.get(use) or read_pinned(self.images).get(name, "")

    def _image(self, use: str) -> str:
        name = self._names[use]
        return self._pinned(use, name) or image(name, self.registry, self.tag)


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
