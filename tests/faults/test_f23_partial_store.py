"""F23: a store of several instances of which one is bad, and one that breaks off.

Procedure: 8 parts of which one (each place in turn) is no DICOM or lacks its UID; 8 parts of which the sender is gone
after the fifth. 25 times (short form: once).

Pass: 202 with one failed and seven stored; after the cut each instance is whole or absent, and all can be sent again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, own_session
from tests.live.rounds import BOUNDARY, chunked
from tests.live.senders import Sent, found, make_sent, post, retrieve
from tests.live.server import LivePacs

PARTS = 8


def no_dicom() -> bytes:
    return b"this is no DICOM " * 100


def no_uid() -> bytes:
    """A whole object that cannot be filed."""
    ds = make_data_set()
    del ds.SeriesInstanceUID
    return to_bytes(ds)


def test_one_bad_part_of_eight(file_store: LivePacs, figure: Figure, long_form: bool) -> None:
    session, right, asked = file_store.machine("technologist"), 0, 0
    for _ in range(25 if long_form else 1):
        for place in range(PARTS):
            good = [make_sent() for _ in range(PARTS - 1)]
            bodies = [each.data for each in good]
            bodies.insert(place, no_uid() if place % 2 else no_dicom())
            answer = post(file_store, session, chunked(bodies))
            told = answer.json()
            asked += 1
            # What has no UIDs to name it by stands among the other failures.
            failed = [each for tag in ("00081198", "0008119A") for each in told.get(tag, {}).get("Value", [])]
            right += (answer.status_code, len(failed), len(told["00081199"]["Value"])) == (202, 1, PARTS - 1)
            assert all(retrieve(file_store, session, each.path).content == each.data for each in good)
            assert found(file_store, session, [each.uid for each in good]).total() == PARTS - 1
    figure("F23", "answers 202 with 1 failed and 7 stored", f"{right} of {asked}", "all")
    assert right == asked


def test_cut_after_the_fifth(file_store: LivePacs, oracle: Oracle, figure: Figure, long_form: bool) -> None:
    session = file_store.machine("technologist")
    for _ in range(25 if long_form else 2):
        batch = [make_sent(kilobytes=64) for _ in range(PARTS)]
        with own_session(session) as own, pytest.raises((requests.ConnectionError, ConnectionAbortedError)):
            post(file_store, own, gone_after(batch, 5))
        oracle.open.append(batch)
    verdict = oracle.judge(file_store, session)
    figure("F23", "cut: instances stored whole though nobody heard", f"{verdict.stored_unheard} of {verdict.open}", "")
    figure("F23", "cut: instances stored in part", verdict.partial + verdict.disagree, "0")
    assert verdict.clean, verdict


def gone_after(batch: list[Sent], count: int) -> Iterator[bytes]:
    """The body as far as ``count`` whole parts and half of the next."""
    body = b"".join(chunked([each.data for each in batch]))
    at = -1
    for _ in range(count + 1):
        at = body.index(f"--{BOUNDARY}".encode(), at + 1)
    end = at + (len(body) - at) // (2 * (len(batch) - count))
    for start in range(0, end, 60_000):
        yield body[start : min(end, start + 60_000)]
    raise ConnectionAbortedError
