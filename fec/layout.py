"""Where everything lies below the storage root: the one place that knows the folders' names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fec.errors import ConfigurationError

TRAIN: Final = "train"
EVAL: Final = "eval"
SPLITS: Final = (TRAIN, EVAL)

DONE: Final = "_DONE.json"
FACES_TABLE: Final = "faces.parquet"
LEAKS_TABLE: Final = "leaks.parquet"
PROBLEM: Final = "fec_base"
# Of both splits together. All their tasks stand in one object of 1 MiB of the engine (pipelines/graph/limits.py), and
# so do those of the record groups of a split, of which each takes 50,000 triplets or more.
MAX_GROUPS: Final = 80
MAX_RECORD_GROUPS: Final = 10
# Tensor2Tensor calls the evaluation split "dev" in file names.
RECORD_SPLIT: Final = {TRAIN: "train", EVAL: "dev"}


def plan_dir(split: str) -> str:
    return f"plan/{_split(split)}"


def images_dir(split: str, shard: int) -> str:
    """Originals as fetched, in segments."""
    return f"images/{_split(split)}/{shard}"


def segment(split: str, shard: int, number: int) -> str:
    """A segment without its ending; ``.tar`` holds the bytes and ``.parquet`` a row an image."""
    return f"{images_dir(split, shard)}/segment-{number:05d}"


def faces_dir(split: str, shard: int) -> str:
    """Verified crops and ``faces.parquet``, as in the published recipe: ``train/0/cropped@...``."""
    return f"{_split(split)}/{shard}"


def rejected_dir(split: str, shard: int) -> str:
    """Crops that were rejected, where somebody wanted them kept: apart, so that nobody takes them for faces."""
    return f"rejected/{_split(split)}/{shard}"


def rejected_crop(split: str, shard: int, outcome: str, face_id: str) -> str:
    """The file of a face's rejected crop."""
    return f"{rejected_dir(split, shard)}/{outcome}-{face_id}.jpg"


def collect_dir(split: str) -> str:
    """The surviving triplets and the funnel."""
    return f"collect/{_split(split)}"


def record_name(split: str, number: int, count: int, problem: str = PROBLEM) -> str:
    return f"{problem}-{RECORD_SPLIT[_split(split)]}-{number:05d}-of-{count:05d}"


def record_file(split: str, number: int, count: int, problem: str = PROBLEM) -> str:
    return f"records/{record_name(split, number, count, problem)}"


def record_done_dir(split: str, number: int, count: int, problem: str = PROBLEM) -> str:
    """Where a record file's marker lies: apart, since Tensor2Tensor reads whatever matches ``fec_base-train*``."""
    return f"records/_done/{record_name(split, number, count, problem)}"


def faces_problem(problem: str = PROBLEM) -> str:
    """What stands for the problem in the names of files of faces; no ``fec_base-train*`` matches it."""
    return f"faces-{problem}"


def triplets_problem(problem: str = PROBLEM) -> str:
    """What stands for the problem in the names of files of triplets that name their faces by id."""
    return f"triplets-{problem}"


def model_dir(run: str) -> str:
    return f"models/{run}"


def report_dir(run: str) -> str:
    return f"reports/{run}"


def report_logs_dir(run: str) -> str:
    """What TensorBoard shows of an evaluation."""
    return f"{report_dir(run)}/logs"


def embeddings_table(run: str) -> str:
    """Where the run's model puts the faces of its root (``fec.embeddings``)."""
    return f"{report_dir(run)}/embeddings.parquet"


# What the last run of an engine that succeeded was asked for.
FINISHED: Final = "runs/finished.json"


def run_summary(run: str) -> str:
    """How a run of an engine ended; ``run`` is the engine's name of it."""
    return f"runs/{run}/summary.json"


def run_places(run: str) -> str:
    """On which nodes the tasks of a run of an engine go, and with which accelerator."""
    return f"runs/{run}/places.json"


def tasks_dir(run: str) -> str:
    """What the tasks of a run say of themselves, a folder a task."""
    return f"runs/{run}/tasks"


def task_dir(run: str, step: str, split: str, group: str) -> str:
    """A file an attempt; ``split`` and ``group`` (INDEX/COUNT) where the step has them."""
    parts = [step, split, "" if group.endswith("/1") else group.replace("/", "-of-")]
    return f"{tasks_dir(run)}/{'-'.join(filter(None, parts))}"


@dataclass(frozen=True)
class Group:
    """The shards one task handles: every number that leaves ``index`` when divided by ``count``.

    Written ``"index/count"``, so that an engine passes a few bytes whatever the number of shards.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, num_shards: int) -> Iterator[int]:
        """The shard numbers of this group among ``num_shards``."""
        return iter(range(self.index, num_shards, self.count))

    @staticmethod
    def parse(text: str) -> Group:
        """Read ``"index/count"``; raises ConfigurationError for anything else."""
        index, slash, count = text.partition("/")
        if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
            return Group(int(index), int(count))
        raise ConfigurationError(f"group {text!r}: expected INDEX/COUNT with INDEX < COUNT, such as 0/1 or 3/100")

    @staticmethod
    def all(num_shards: int, max_groups: int) -> list[Group]:
        """At most ``max_groups`` groups that together hold each of ``num_shards`` shards once."""
        count = max(1, min(num_shards, max_groups))
        return [Group(i, count) for i in range(count)]

    @staticmethod
    def part(max_groups: int, num_shards: int, other_shards: int) -> int:
        """Of ``max_groups``, how many fall to the one of two splits that has ``num_shards``: at least one."""
        return max(1, max_groups * num_shards // (num_shards + other_shards))


def _split(split: str) -> str:
    if split not in SPLITS:
        raise ConfigurationError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    return split
