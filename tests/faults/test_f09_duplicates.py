"""F9: the same instance from many senders at once, and another one under its UID.

Procedure: 16 clients store the same instance at the same moment, then 16 clients one UID with other bytes each, while
others read what is held. 40 rounds (short form: 2).

Pass: exactly one copy; nobody's bytes are dropped in silence (who sent other bytes than those held is answered 409, or
told by a warning); no read fails while the instance is sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import requests

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.faults.oracle import own_session
from tests.live.senders import Sent, found, make_sent, retrieve, store
from tests.live.server import LivePacs

CLIENTS = 16


def test_one_copy_and_nobody_is_dropped_in_silence(file_store: LivePacs, figure: Figure, long_form: bool) -> None:
    session = file_store.machine("technologist")
    rounds, dropped, failed_reads, reads = 40 if long_form else 2, 0, 0, 0
    for _ in range(rounds):
        same = make_sent(kilobytes=16)
        answers = at_once(lambda own, each: store(file_store, own, [each]), session, [same] * CLIENTS)
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        assert copies(file_store, session, same) == 1
        assert retrieve(file_store, session, same.path).content == same.data

        read, wrong = read_meanwhile(file_store, session, same, others_of(same))
        reads, failed_reads = reads + read, failed_reads + wrong

        rivals = others_of(make_sent(kilobytes=16))
        answers = at_once(lambda own, each: store(file_store, own, [each]), session, rivals)
        held = retrieve(file_store, session, rivals[0].path).content
        assert held in [each.data for each in rivals]
        assert copies(file_store, session, rivals[0]) == 1
        dropped += sum(silent(answer, each, held) for answer, each in zip(answers, rivals, strict=True))
    figure("F9", f"rounds of {CLIENTS} senders", rounds, "40 in the long form")
    figure("F9", "copies of an instance", 1, "exactly 1")
    figure("F9", "other bytes dropped in silence", dropped, "0")
    figure("F9", "failed reads while sent again", f"{failed_reads} of {reads}", "0")
    assert (dropped, failed_reads) == (0, 0)


def others_of(sent: Sent) -> list[Sent]:
    """As many instances under one UID as there are clients, no two the same."""
    study, series = sent.path.split("/")[1::2][:2]
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sent.uid}
    return [replace(sent, data=to_bytes(make_data_set(InstanceNumber=n, **uids))) for n in range(CLIENTS)]


def at_once(
    verb: Callable[[requests.Session, Sent], requests.Response], session: requests.Session, sent: Sequence[Sent]
) -> list[requests.Response]:
    """Each by a client of its own, all let go at the same moment."""
    ready = threading.Barrier(len(sent))

    def go(each: Sent) -> requests.Response:
        with own_session(session) as own:
            ready.wait(60)
            return verb(own, each)

    with ThreadPoolExecutor(len(sent)) as clients:
        return list(clients.map(go, sent))


def read_meanwhile(live: LivePacs, session: requests.Session, held: Sent, rivals: Sequence[Sent]) -> tuple[int, int]:
    """Reads of ``held`` while others send other bytes under its UID: how many, and how many were not these bytes."""
    stop, read, wrong = threading.Event(), 0, 0

    def look() -> None:
        nonlocal read, wrong
        with own_session(session) as own:
            while not stop.is_set():
                answer = retrieve(live, own, held.path)
                read += 1
                wrong += answer.status_code != 200 or answer.content != held.data

    reader = threading.Thread(target=look)
    reader.start()
    try:
        at_once(lambda own, each: store(live, own, [each]), session, rivals)
    finally:
        stop.set()
        reader.join()
    return read, wrong


def silent(answer: requests.Response, sent: Sent, held: bytes) -> bool:
    """Whether a sender of bytes that are not held was told that all is well."""
    if sent.data == held or answer.status_code == 409:
        return False
    referenced: list[dict[str, Any]] = answer.json()["00081199"]["Value"]
    return "00081196" not in referenced[0]


def copies(live: LivePacs, session: requests.Session, sent: Sent) -> int:
    [[rows]] = live.query("SELECT count(*) FROM archive_instance WHERE sop_instance_uid = %s", sent.uid)
    assert found(live, session, [sent.uid])[sent.uid] == rows
    return int(rows)
