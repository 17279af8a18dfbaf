"""``python -m components.faces.beside PARAMETERS``: verify ahead beside a run, at the lowest priority (ahead.py).

PARAMETERS is a JSON object, as the faces step takes them. It waits for downloads until it is ended, and fails nobody:
what goes wrong is one line, and the step will say it again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

# Seconds that a download has to last before any of it is worth a detector, and between two looks whether one is there.
WORTH: Final = 5.0
LOOK: Final = 0.5
_LOWEST_PRIORITY: Final = 19


def main(parameters: str) -> int:
    """Verify ahead of each download, until this process is ended; 0 when something went wrong."""
    _come_last()
    time.sleep(WORTH)
    from components.faces.parameters import Parameters
    from fec import log
    from fec.parameters import made
    from fec.progress import event

    log.start()
    try:
        asked = made(Parameters, json.loads(parameters))
        while True:
            wait_for_download(asked.root)
            from components.faces.ahead import verify_ahead

            verify_ahead(asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run does not need it
        event("ahead_ended", f"faces are not verified ahead any more: {error}", severity="WARNING")
        return 0


def _come_last() -> None:
    """Leave the processor to all others, and be the first to go where memory is short."""
    os.nice(_LOWEST_PRIORITY)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def wait_for_download(root: str) -> None:
    """Return when a download has been at work below ``root`` for a while."""
    from fec.layout import SPLITS
    from fec.segments.watching import at_work
    from fec.storage import open_storage

    storage = open_storage(root)
    since: float | None = None
    while since is None or time.monotonic() - since < WORTH:
        time.sleep(LOOK)
        if not any(at_work(storage, split) for split in SPLITS):
            since = None
        elif since is None:
            since = time.monotonic()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
