"""TensorBoard reads what evaluate writes for it: scalars, and faces for its projector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util import tensor_util

from components.evaluate.embedding import embedded, load_network
from components.evaluate.step import Parameters, run
from components.evaluate.tensorboard import SIDE
from fec import layout
from fec.layout import EVAL
from fec.record_files import record_files
from fec.storage import open_storage
from tests.components.evaluate.conftest import RUN


@pytest.fixture(scope="module")
def logs(finished_root: Path) -> Path:
    run(Parameters(root=str(finished_root), run=RUN))
    return finished_root / layout.report_logs_dir(RUN)


def test_scalars_stand_at_the_last_step_of_training(logs: Path) -> None:
    events = EventAccumulator(str(logs))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {"eval/accuracy/overall", "eval/effective_dimensions", "eval/active_triplets"} <= set(tags)
    (only,) = events.Tensors("eval/accuracy/overall")
    assert only.step == 20
    assert 0 <= float(tensor_util.make_ndarray(only.tensor_proto)) <= 1


def test_an_evaluation_made_again_leaves_one_event_file(logs: Path, finished_root: Path) -> None:
    (finished_root / layout.report_dir(RUN) / layout.DONE).unlink()
    run(Parameters(root=str(finished_root), run=RUN))
    assert len(list(logs.glob("events.out.tfevents.*"))) == 1


def test_the_projector_finds_each_face_at_the_same_place_in_all_of_its_files(logs: Path, finished_root: Path) -> None:
    config = text_format.Parse((logs / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (shown,) = config.embeddings
    vectors = np.loadtxt(logs / shown.tensor_path, delimiter="\t", ndmin=2)
    head, *rows = (logs / shown.metadata_path).read_text().splitlines()
    assert head == "face_id\ttriplets\tshare_right"
    assert list(shown.sprite.single_image_dim) == [SIDE, SIDE]
    storage = open_storage(str(finished_root))
    measured = embedded(storage, record_files(storage, EVAL), load_network(storage, RUN), 256)
    assert len(rows) == len(vectors) == len(measured.embeddings)
    sprite = cv2.imread(str(logs / shown.sprite.image_path))
    assert sprite is not None
    columns = sprite.shape[1] // SIDE
    for number, (row, vector) in enumerate(zip(rows, vectors, strict=True)):
        face = row.split("\t")[0]
        assert np.allclose(vector, measured.embeddings[face], atol=1e-5)
        top, left = (place * SIDE for place in divmod(number, columns))
        picture = cv2.imdecode(np.frombuffer(measured.thumbnails[face], np.uint8), cv2.IMREAD_COLOR)
        there = sprite[top : top + SIDE, left : left + SIDE].mean()
        assert there == pytest.approx(np.asarray(picture).mean(), abs=3)
