"""Installations to talk to over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.server import LivePacs


@pytest.fixture(scope="module", params=["file", "s3"])
def any_store(request: pytest.FixtureRequest) -> Iterator[LivePacs]:
    """An installation with each object store in turn."""
    live = LivePacs(s3=request.getfixturevalue("s3_settings") if request.param == "s3" else None)
    try:
        yield live.start(worker=False)
    finally:
        live.stop()


@pytest.fixture(scope="session")
def file_store() -> Iterator[LivePacs]:
    """An installation with the file store, without worker and relay; every test brings studies of its own."""
    live = LivePacs()
    try:
        yield live.start(worker=False)
    finally:
        live.stop()
