"""The listener is killed between a message and its answer: what it said is there once, or not at all; never twice."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from archive.patient_facts import Identifier
from archive.patient_rows import _number
from hl7.framing import framed
from tests.hl7.installation import Installation, wait_until, waits_for_a_lock
from tests.hl7.messages import ORDER, PID, adt, code, wire
from tests.hl7.sender import Sender

pytestmark = pytest.mark.slow
_LOCK = 4711
# COMMIT itself waits, with everything applied.
_COMMIT_WAITS = f"""
    CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_advisory_xact_lock({_LOCK}); RETURN NULL; END$$;
    CREATE CONSTRAINT TRIGGER waits AFTER UPDATE ON hl7_hl7message DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.state = 'applied') EXECUTE FUNCTION waits()"""
_NO_MORE = "DROP TRIGGER waits ON hl7_hl7message; DROP FUNCTION waits()"
_TABLES = ("archive_patient", "worklist_visit", "worklist_order", "worklist_stateevent", "worklist_requestedprocedure")


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    made = Installation().take_messages()
    yield made
    made.stop()


def counts(live: Installation) -> list[int]:
    return [live.count(table) for table in _TABLES]


def kill_while(live: Installation, holder: psycopg.Connection[object], lock: int, message: bytes) -> None:
    """Kill the listener with a message at which its database session waits for ``lock``."""
    holder.execute("SELECT pg_advisory_lock(%s)", [lock])
    with Sender(live.hl7_port) as sender:
        sender.send(framed(message))
        wait_until(lambda: waits_for_a_lock(live))
        live.kill("hl7")
        assert sender.answer() == b""


def start_again(live: Installation) -> None:
    wait_until(lambda: not waits_for_a_lock(live))
    live.listener.start()
    live.services.append(live.listener)


def test_kept_and_not_applied(live: Installation) -> None:
    before = counts(live)
    news = adt("A28", "kill-1", PID.replace("123^^^HOSP&1.2.3.4&ISO", "K1^^^HOSP"))
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as holder:
        kill_while(live, holder, _number(Identifier("K1", "HOSP").key), news)
        assert live.states()[-1] == "received"
    start_again(live)
    assert counts(live) == before
    with Sender(live.hl7_port) as sender:
        first = sender.ask(news)
        assert code(first) == "AA"
        after = counts(live)
        assert after[0] == before[0] + 1
        assert sender.ask(news) == first
    assert counts(live) == after
    assert live.states()[-3:] == ["superseded", "applied", "repeated"]


@pytest.mark.parametrize("committed", [False, True])
def test_applied_and_the_answer_unwritten(live: Installation, committed: bool) -> None:
    """In the middle of COMMIT, which the database then finishes, or not: a machine that loses its power does either."""
    before = counts(live)
    order = wire(ORDER.replace("|O1|", f"|kill-{committed}|").replace("1^EPIC", f"{committed}^EPIC"))
    order = order.replace(b"F1^RIS", f"F{committed}^RIS".encode())
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as holder:
        holder.execute(_COMMIT_WAITS)
        kill_while(live, holder, _LOCK, order)
        if not committed:
            holder.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'")
        holder.execute("SELECT pg_advisory_unlock_all()")
        wait_until(lambda: not waits_for_a_lock(live))
        holder.execute(_NO_MORE)
    start_again(live)
    after = counts(live)
    assert (after != before) is committed
    assert live.states()[-1] == ("applied" if committed else "received")
    with Sender(live.hl7_port) as sender:
        answer = sender.ask(order)
        assert code(answer) == "AA"
        once = counts(live)
        assert once[2] == before[2] + 1
        assert sender.ask(order) == answer
    assert counts(live) == once
    assert live.states()[-2:] == ["repeated" if committed else "applied", "repeated"]
    if committed:
        assert once == after
        kept = live.query("SELECT answer FROM hl7_hl7message WHERE control_id = 'kill-True'")
        assert {bytes(row[0]) for row in kept} == {answer}
