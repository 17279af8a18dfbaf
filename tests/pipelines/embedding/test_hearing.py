"""What native code says while a library is loaded is heard only where that fails."""

import os

import pytest

from pipelines.embedding.hearing import unheard


@pytest.mark.parametrize(
    ("error", "heard"), [(None, ""), (ImportError("broken"), "native words"), (KeyboardInterrupt(), "")]
)
def test_it_is_heard_of_a_failure_only(
    capfd: pytest.CaptureFixture[str], error: BaseException | None, heard: str
) -> None:
    try:
        with unheard():
            os.write(2, b"native words")
            if error is not None:
                raise error
    except (ImportError, KeyboardInterrupt) as raised:
        assert raised is error
    os.write(2, b" after")
    assert capfd.readouterr().err == f"{heard} after"
