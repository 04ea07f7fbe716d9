"""Who gets a thread: nobody all of them, the clients in turn, and whoever waits for too long is told to come again."""

from __future__ import annotations

import pytest

from pacs_project.admission import AHEAD, BODIES, OTHERS, SEARCHES, WAIT_SECONDS, Admission, Ticket, ticket
from pacs_project.request_head import parse_head

VENDOR, VIEWER = b"Bearer of a vendor", b"Bearer of a viewer"


def admitted(admission: Admission, names: str, asked: Ticket) -> list[str]:
    return [name for name in names if admission.enter(name, asked, 0.0)]


def test_a_client_never_has_all_threads() -> None:
    admission = Admission(32)
    inside = [number for number in range(64) if admission.enter(number, Ticket(VENDOR, OTHERS), 0.0)]
    assert len(inside) == 28
    assert admission.waiting
    assert admission.enter("viewer", Ticket(VIEWER, OTHERS), 0.0)


def test_those_who_wait_come_in_turn() -> None:
    admission = Admission(8)
    for number in range(7):
        assert admission.enter(number, Ticket(VENDOR, OTHERS), 0.0)
    others = range(100, 100 + 8 + AHEAD - 7)
    assert all(admission.enter(number, Ticket(b"%d" % number, OTHERS), 0.0) for number in others)
    assert admitted(admission, "abcd", Ticket(VENDOR, OTHERS)) == []
    assert admitted(admission, "xy", Ticket(VIEWER, OTHERS)) == []
    assert [*admission.leave(0), *admission.leave(1), *admission.leave(2), *admission.leave(3)] == ["a", "x", "b", "y"]


def test_a_kind_has_its_share() -> None:
    admission = Admission(32)
    assert len([n for n in range(32) if admission.enter(n, Ticket(b"%d" % n, BODIES), 0.0)]) == BODIES.of_32
    assert admission.enter("search", Ticket(VIEWER, SEARCHES), 0.0)
    assert not admission.wanting(5.0, 0.2).total()
    assert list(admission.leave(0)) == [BODIES.of_32]


def test_a_client_never_has_all_of_a_kind() -> None:
    """A sender on a thin line holds its threads for as long as it sends."""
    admission = Admission(32)
    assert len([n for n in range(32) if admission.enter(n, Ticket(VENDOR, BODIES), 0.0)]) == BODIES.of_32 - 1
    assert admission.enter("viewer", Ticket(VIEWER, BODIES), 0.0)
    assert list(admission.leave("viewer")) == []
    assert {status for _, status in admission.late(WAIT_SECONDS + 1)} == {429}
    assert admission.enter("viewer", Ticket(VIEWER, BODIES), 20.0)


def test_whose_stuck_connection_would_help() -> None:
    admission = Admission(32)
    for number in range(30):
        admission.enter(number, Ticket(VENDOR, OTHERS), 0.0)
    assert admission.wanting(5.0, 0.2) == {VENDOR: 2}, "another's would help nobody"
    assert admission.client_of(0) == VENDOR
    for number in range(100, 110):
        admission.enter(number, Ticket(VIEWER, OTHERS), 0.0)
    assert admission.wanting(5.0, 0.2) == {VENDOR: 2, None: 2}
    assert admission.client_of(109) is None


def test_nothing_is_kept_of_who_has_gone() -> None:
    admission = Admission(4)
    for number in range(50):
        admission.enter(number, Ticket(b"%d" % number, OTHERS), 0.0)
    gone = set(range(4 + AHEAD))
    while gone:
        gone |= set(admission.leave(gone.pop()))
    assert not admission.waiting
    assert not admission._inside
    assert not admission._clients
    assert not admission._of_both


def test_who_waits_for_too_long_is_told() -> None:
    admission = Admission(8)
    for number in range(9):
        admission.enter(number, Ticket(VENDOR, OTHERS), 0.0)
    for number in range(20, 27):
        admission.enter(number, Ticket(b"%d" % number, OTHERS), 1.0)
    assert list(admission.late(WAIT_SECONDS)) == []
    assert list(admission.late(WAIT_SECONDS + 0.1)) == [(7, 429), (8, 429)]
    assert list(admission.late(WAIT_SECONDS + 1.1)) == [(25, 503), (26, 503)]
    assert not admission.waiting
    assert [*admission.leave(0), *admission.leave("never came in")] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dicom-web/studies", "searches"),
        ("/dicom-web/studies/1.2/series/1.3/rendered", "pictures"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1", "others"),
        ("/", "others"),
    ],
)
def test_what_counts_of_a_request(path: str, kind: str) -> None:
    head = parse_head(f"GET {path}?a=b HTTP/1.1\r\nHost: a\r\naUTHORIZATION: Bearer x\r\n\r\n".encode())
    assert head is not None
    assert ticket(head, "127.0.0.1", large=False).kind.name == kind
    assert ticket(head, "127.0.0.1", large=True).kind is BODIES
    assert head.client.strip() == b"Bearer x"
    nameless = parse_head(b"GET / HTTP/1.1\r\n\r\n")
    assert nameless is not None
    assert ticket(nameless, "10.0.0.1", large=False).client == b"10.0.0.1"
    passed_on = parse_head(b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4, 192.0.2.7\r\nHost: a\r\n\r\n")
    assert passed_on is not None
    assert ticket(passed_on, "10.0.0.1", large=False).client == b"192.0.2.7"
