"""What clients of a running installation need: objects by the batch, and what became of them."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import requests

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.live.marker import PATIENT
from tests.live.rounds import STORE_TYPE, chunked
from tests.live.server import LivePacs

AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}


@dataclass(frozen=True)
class Sent:
    """An object with the path of its resource."""

    uid: str
    path: str
    data: bytes


def make_sent(*, kilobytes: int = 1, **values: object) -> Sent:
    """A CT slice of about this size that nobody has seen before."""
    side = 512
    ds = make_data_set(
        Rows=kilobytes, Columns=side, PixelData=os.urandom(2 * side * kilobytes), **{**PATIENT, **values}
    )
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    return Sent(str(ds.SOPInstanceUID), path, to_bytes(ds))


def make_batch(chance: random.Random, **values: object) -> list[Sent]:
    """1 to 8 slices of 8 to 512 KiB."""
    return [make_sent(kilobytes=chance.choice((8, 16, 64, 512)), **values) for _ in range(chance.randint(1, 8))]


def post(live: LivePacs, session: requests.Session, body: Iterable[bytes]) -> requests.Response:
    """STOW-RS with chunked transfer coding."""
    return session.post(
        f"{live.url}/dicom-web/studies",
        data=iter(body),
        headers={"Content-Type": STORE_TYPE, "Accept": "application/dicom+json"},
        timeout=300,
    )


def store(live: LivePacs, session: requests.Session, batch: Iterable[Sent]) -> requests.Response:
    return post(live, session, chunked([sent.data for sent in batch]))


def retrieve(live: LivePacs, session: requests.Session, path: str) -> requests.Response:
    return session.get(f"{live.url}/dicom-web/{path}", headers=AS_STORED, timeout=300)


def found(live: LivePacs, session: requests.Session, uids: Sequence[str]) -> Counter[str]:
    """How often a search finds each of these SOP Instance UIDs."""
    counts: Counter[str] = Counter()
    for start in range(0, len(uids), 50):
        query = {"SOPInstanceUID": ",".join(uids[start : start + 50])}
        answer = session.get(f"{live.url}/dicom-web/instances", params=query, timeout=60)
        assert answer.status_code in (200, 204), answer.text
        counts.update(item["00080018"]["Value"][0] for item in (answer.json() if answer.content else []))
    return counts
