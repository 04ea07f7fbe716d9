"""The one installation of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.site import Corpus, Site, corpus
from tests.conformance.trap_server import VIEWER
from tests.live.server import LivePacs


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """An installation with the file store and without worker, in which the corpus is stored."""
    live = LivePacs()
    live.environment |= {"PACS_CORS_ORIGINS": json.dumps([VIEWER]), "PACS_LIMITS__COMMITMENT_REFERENCES": "50"}
    live.environment["PACS_LIMITS__FRAMES_PER_REQUEST"] = "200"
    try:
        live.start(worker=False)
        made = corpus()
        there = Site(live, live.machine("technologist"), made)
        single = (made.other, made.jpeg, made.jpeg_2000, made.implicit, made.pdf, made.report)
        for objects in ([*made.slices, made.frames], *([one] for one in single)):
            there.store(*(each.data for each in objects))
        yield there
    finally:
        live.stop()


@pytest.fixture(scope="session")
def stored(site: Site) -> Corpus:
    """What is stored in the installation."""
    return site.corpus
