"""Whatever is sent, the server answers as its OpenAPI document says, and never with a fault of its own.

Some 40 seconds here; 20 minutes with ``LIGHTBOX_FUZZ_SECONDS=1200`` (docs/operations.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.live.server import LivePacs
from tests.openapi.wire import run

SECONDS = int(os.environ.get("LIGHTBOX_FUZZ_SECONDS", "40"))
SEED = int(os.environ.get("LIGHTBOX_FUZZ_SEED", "1"))


@pytest.fixture(scope="module")
def installation() -> Iterator[LivePacs]:
    live = LivePacs()
    live.environment["PACS_ACCESS_TOKEN_SECONDS"] = str(SECONDS + 600)
    try:
        yield live.start(worker=False)
    finally:
        live.stop()


@pytest.mark.timeout(SECONDS + 900)
def test_every_answer_is_one_that_the_document_names(installation: LivePacs) -> None:
    outcome = run(installation, seconds=SECONDS, seed=SEED)
    # The end of it says what failed, also where a long message is cut off.
    assert not outcome.failed, outcome.text[-8_000:]
    told = [line for line in (installation.home / "web.log").read_text().splitlines() if " ERROR " in line]
    overloaded = [line for line in told if "Service Unavailable" in line]
    assert told == overloaded, "\n".join(told)[-8_000:]
    assert len(overloaded) < outcome.report["test_cases"]["generated"] / 20, "unavailable more often than now and then"
