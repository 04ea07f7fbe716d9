"""Many feeds at once about the same patients, against two listeners, end as the same messages sent one by one do.

    python -m tests.hl7.feeds --feeds 8 --messages 500 --patients 50

Whatever two feeds say of one patient does not depend on which of them comes first: what is said of the patient by the
time of the event, and each feed has visits, orders and retired identifiers of its own.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.hl7.installation import Installation
from tests.hl7.messages import adt, code, wire
from tests.hl7.sender import Sender

_BEGIN = datetime(2025, 1, 10)
# What a feed says of a patient, turn after turn: events, and orders by ORC-1 and ORC-5. The retired identifier has an
# order of its own before it is merged.
_ROUNDS = (
    *("A04", "NW_SC", "A08", "prior NW_SC", "SC_IP", "A40", "SC_CM", "A02", "NW_", "XO_", "HD_HD", "A31", "RL_SC"),
    *("CA_CA", "A40", "A03", "NW_SC", "DC_DC", "A13", "A08"),
)
# The first row of ``_ROUNDS`` that an order's later ones are about.
_OPENS = frozenset({"NW_SC", "NW_"})

_STATE = {
    "patients": """
        SELECT p.patient_id, p.issuer_of_patient_id, p.patient_name, p.patient_birth_date, p.patient_sex, p.standing,
               p.told, p.event_at, m.patient_id
        FROM archive_patient p LEFT JOIN archive_patient m ON m.id = p.merged_into_id ORDER BY 1, 2""",
    "visits": """
        SELECT v.number, v.issuer, p.patient_id, v.patient_class, v.location, v.attending_physician_name, v.status
        FROM worklist_visit v JOIN archive_patient p ON p.id = v.patient_id ORDER BY 1, 2""",
    "orders": """
        SELECT o.placer_number, o.filler_number, o.accession_number, o.status, o.held_from, o.attributes,
               p.patient_id, v.number, o.referring_physician_name, o.priority
        FROM worklist_order o JOIN archive_patient p ON p.id = o.patient_id
        LEFT JOIN worklist_visit v ON v.id = o.visit_id ORDER BY 1, 2""",
    "steps": """
        SELECT o.filler_number, r.procedure_id, r.study_instance_uid, r.code, s.step_id, s.modality, s.start_date,
               s.start_time, s.station_ae_titles, s.status
        FROM worklist_scheduledprocedurestep s JOIN worklist_requestedprocedure r ON r.id = s.procedure_id
        JOIN worklist_order o ON o.id = r.order_id ORDER BY 1, 2, 5""",
    # In the order in which they were written, for each visit, order and step.
    "events": """
        SELECT e.machine, coalesce(v.number, o.filler_number, so.filler_number || s.step_id) AS subject,
               array_agg(e.before || '>' || e.after || ' ' || e.happened_at ORDER BY e.id)
        FROM worklist_stateevent e
        LEFT JOIN worklist_visit v ON e.machine = 'visit' AND v.id = e.subject
        LEFT JOIN worklist_order o ON e.machine = 'order' AND o.id = e.subject
        LEFT JOIN worklist_scheduledprocedurestep s ON e.machine = 'step' AND s.id = e.subject
        LEFT JOIN worklist_requestedprocedure r ON r.id = s.procedure_id
        LEFT JOIN worklist_order so ON so.id = r.order_id
        GROUP BY 1, 2 ORDER BY 1, 2""",
    "answers": "SELECT control_id, state FROM hl7_hl7message ORDER BY 1",
}


@dataclass(frozen=True, slots=True)
class Run:
    """How it ended: the ``state`` by table, the codes of the answers, and how long it took in seconds."""

    state: dict[str, list[tuple[Any, ...]]]
    codes: Counter[str]
    seconds: float
    deadlocks: int


def feed(number: int, feeds: int, messages: int, patients: int) -> Iterator[bytes]:
    """What one feed sends, in its order."""
    for turn in range(messages):
        patient, place = turn % patients, turn // patients
        what = _ROUNDS[place % len(_ROUNDS)]
        at = _BEGIN + timedelta(seconds=turn * feeds + number)
        lap = sum(each in _OPENS for each in _ROUNDS[: place % len(_ROUNDS) + 1]) + place // len(_ROUNDS) * 100
        yield _message(what, f"{number}-{turn}", f"{at:%Y%m%d%H%M%S}", patient, number, lap)


def _message(what: str, control: str, at: str, patient: int, number: int, lap: int) -> bytes:
    """``lap`` is the number of the order that the feed is at with this patient."""
    prior = what.startswith("prior")
    identifier = f"Q{patient}-{number}" if prior else f"S{patient}"
    pid = f"PID|1||{identifier}^^^HOSP||NAME{control}^GIVEN||19{int(at[-2:]):02}0101|{'FM'[int(at[-1]) % 2]}"
    pv1 = f"PV1|1|I|W{at[-1]}^1^1^HOSP||||77^ATT^AL|88^REF^RUTH|||||||||||V{patient}-{number}^^^HOSP"
    if what == "A40":
        return adt("A40", control, f"EVN||{at}", pid, f"MRG|Q{patient}-{number}^^^HOSP")
    if what.startswith("A"):
        return adt(what, control, f"EVN||{at}", pid, pv1)
    orc1, _, orc5 = what.rpartition(" ")[2].partition("_")
    order = f"{patient}-{number}-{'q' if prior else lap}"
    head = f"MSH|^~\\&|RIS|HOSP|PACS|IMG|{at}||OMG^O19^OMG_O19|{control}|P|2.5.1||||||UNICODE UTF-8"
    return wire(
        "\n".join(
            (
                head,
                pid,
                pv1,
                f"ORC|{orc1}|P{order}^EPIC|F{order}^RIS||{orc5}",
                f"TQ1|1||||||{at}||S^STAT^HL70078",
                f"OBR|1|P{order}^EPIC|F{order}^RIS|CT^CT HEAD^L||||||||||||88^REF^RUTH||A{order}|RP1|SPS1||||CT",
            )
        )
    )


def together(feeds: int, messages: int, patients: int) -> Run:
    """All feeds at once, half of them to each of two listeners."""
    live = Installation(listeners=2)
    codes: Counter[str] = Counter()
    counted = threading.Lock()

    def send(number: int) -> None:
        answers = _sent(live.ports[number % 2], feed(number, feeds, messages, patients))
        with counted:
            codes.update(answers)

    return _run(live, codes, [threading.Thread(target=send, args=(number,)) for number in range(feeds)])


def one_by_one(feeds: int, messages: int, patients: int) -> Run:
    """The same messages over one connection, feed after feed."""
    live = Installation()
    codes: Counter[str] = Counter()

    def send() -> None:
        for number in range(feeds):
            codes.update(_sent(live.hl7_port, feed(number, feeds, messages, patients)))

    return _run(live, codes, [threading.Thread(target=send)])


def _run(live: Installation, codes: Counter[str], threads: Sequence[threading.Thread]) -> Run:
    try:
        live.take_messages()
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        deadlocks = live.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0]
        return Run({name: live.query(sql) for name, sql in _STATE.items()}, codes, seconds, deadlocks)
    finally:
        live.stop()


def _sent(port: int, messages: Iterator[bytes]) -> list[str]:
    with Sender(port) as sender:
        sender.socket.settimeout(120)
        return [code(sender.ask(message)) for message in messages]


def main() -> None:
    """Both runs, and what differs."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--feeds", type=int, default=8)
    asked.add_argument("--messages", type=int, default=500)
    asked.add_argument("--patients", type=int, default=50)
    sizes = vars(asked.parse_args())
    from tests import conftest

    assert conftest.SERVICES is not None
    conftest.SERVICES.start()
    runs = {"together": together(**sizes), "one by one": one_by_one(**sizes)}
    for name, run in runs.items():
        total = run.codes.total()
        print(f"{name}: {total} messages in {run.seconds:.1f} s, {total / run.seconds:.0f}/s, {dict(run.codes)}")
        print(f"  deadlocks {run.deadlocks}", *(f"{table} {len(rows)}" for table, rows in run.state.items()), sep=", ")
    one, other = (run.state for run in runs.values())
    for table in one:
        differing = [pair for pair in zip(one[table], other[table], strict=False) if pair[0] != pair[1]]
        print(f"{table}: {'the same' if one[table] == other[table] else 'DIFFERENT'}", *differing[:3])


if __name__ == "__main__":
    main()
