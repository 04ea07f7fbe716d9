"""F10: clocks that differ, and a clock that jumps.

Procedure, on a machine whose clock is not ours to set: tokens of an issuer with ``iat``, ``nbf`` and ``exp`` 30, 58,
62 and 90 s off; rows moved by SQL to where a clock that jumped by +1 h, -1 h and -2 d would have left them: open tasks
with times that lie in the future, and events of the trail whose times run backwards.

Pass: 60 s are tolerated, no more; the trail is in the order of its sequence and verifies; no task waits for the clock
to catch up, none fails. (Not done: ``date -s``.)
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from access.jwt_checks import Expected, Refused, verified
from tests.faults.conftest import Figure
from tests.live.senders import make_sent, store
from tests.live.server import LivePacs

JUMPS = ("1 hour", "-1 hour", "-2 days")
# What is off, by how many seconds, and whether it is believed all the same.
TOKENS = [(name, seconds, seconds < 60) for name in ("iat", "nbf", "exp") for seconds in (30, 58, 62, 90)]


@pytest.fixture
def live() -> Iterator[LivePacs]:
    made = LivePacs()
    try:
        yield made.trust_tokens_for_long().start()
    finally:
        made.stop()


def test_sixty_seconds_are_tolerated(figure: Figure) -> None:
    right = [believed(name, seconds) is believe for name, seconds, believe in TOKENS]
    figure("F10", "tokens 30 to 90 s off, believed up to 60 s", f"{sum(right)} of {len(TOKENS)}", "all")
    assert all(right)


def believed(name: str, seconds: int) -> bool:
    """Whether a token is, one of whose times is so far on the wrong side of now."""
    now = int(time.time())
    claims = {"iss": "https://issuer.example", "sub": "robot", "aud": "lightbox", "iat": now, "exp": now + 300}
    claims[name] = now - seconds if name == "exp" else now + seconds
    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(claims, key, algorithm="ES256")
    known = jwt.PyJWK.from_json(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()), algorithm="ES256")
    expected = Expected("https://issuer.example", ["lightbox"], ["ES256"])
    try:
        verified(token, expected, lambda kid, algorithm: known)
    except Refused:
        return False
    return True


def test_a_clock_that_jumped(live: LivePacs, figure: Figure, long_form: bool) -> None:
    session = live.machine("technologist")
    jumps, stuck = JUMPS * 5 if long_form else JUMPS[1:2], 0
    for jump in jumps:
        live.kill("relay")
        assert store(live, session, [make_sent()]).status_code == 200
        # As if the clock had jumped after that: the other way round, seen from now.
        moved = "created_at = created_at - %s::interval, not_before = not_before - %s::interval"
        execute(live, f"UPDATE archive_outboxentry SET {moved} WHERE kind LIKE 'series%%'", jump, jump)  # noqa: S608
        live.serve_relay()
        stuck += not all_done(live)
    failed = (live.home / "worker.log").read_text().count("Traceback")
    figure("F10", "jumps after which a task waited for the clock", f"{stuck} of {len(jumps)}", "0")
    assert (stuck, failed) == (0, 0)


def all_done(live: LivePacs) -> bool:
    """Whether the tasks of what was stored are done within the time that one is tried again after, and some."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        if live.query("SELECT count(*) FROM archive_outboxentry WHERE kind LIKE 'series%%'") == [(0,)]:
            return True
        time.sleep(0.3)
    return False


def test_the_trail_is_in_order_whatever_the_clock_said(live: LivePacs, figure: Figure) -> None:
    session = live.machine("technologist")
    for jump in JUMPS:
        assert store(live, session, [make_sent()]).status_code == 200
        [[names]] = live.query(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE NOT attisdropped AND attnum > 0"
            " AND attrelid = 'audit_accessevent'::regclass AND attname NOT IN ('sequence', 'recorded_at')"
        )
        execute(
            live,
            f"INSERT INTO audit_accessevent ({names}, recorded_at) SELECT {names}, recorded_at + %s::interval"  # noqa: S608
            " FROM audit_accessevent ORDER BY sequence DESC LIMIT 1",
            jump,
        )
    live.manage("audit_seal")
    told = live.manage("audit_verify")
    [[events, backwards]] = live.query(
        "SELECT count(*), count(*) FILTER (WHERE recorded_at < before) FROM ("
        " SELECT recorded_at, lag(recorded_at) OVER (ORDER BY sequence) AS before FROM audit_accessevent) AS told"
    )
    [[disorder]] = live.query(
        "SELECT count(*) FROM (SELECT sequence, lag(sequence) OVER (ORDER BY position) AS before"
        " FROM audit_sealedevent) AS told WHERE sequence < before"
    )
    assert backwards >= 2
    assert "The trail is what was sealed and signed." in told
    figure("F10", "events out of order by sequence", f"{disorder} of {events}", "0")
    assert disorder == 0


def execute(live: LivePacs, statement: str, *values: str) -> None:
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement, values)
