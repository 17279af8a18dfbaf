"""The collect step's artifact on the engine."""

from __future__ import annotations

from fec import layout
from fec.artifacts import Artifact, publish
from fec.done import read_done
from fec.funnel import funnel_path
from fec.storage import open_storage


def publish_triplets(root: str, split: str, triplets: Artifact) -> None:
    """Make ``triplets`` the funnel of ``split``, with its counts."""
    directory = layout.collect_dir(split)
    done = read_done(open_storage(root), directory)
    publish(root, funnel_path(split), triplets, **(dict(done.counts) if done else {}))
