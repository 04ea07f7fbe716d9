"""The index made anew from the object store alone, or brought up to what the store knows after a backup was restored.

Facts about the archive, then patients, then studies in several processes; then objects that no facts name. The cursor
are the documents that the index knows (``custody.facts.known``): whatever ends a run, the next one goes on after them.
"""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.db import connection, connections, transaction
from django.db.models.functions import Now

from archive.models import Instance, Patient, Series, Study
from audit import kinds
from audit.kinds import Outcome
from audit.record import NewAccessEvent, record
from custody.facts import documents, patients, providers, studies, unknown
from custody.facts.behind import NEEDED
from custody.facts.documents import Facts, UnreadableFacts
from custody.facts.known import is_done, moment_of, remember
from custody.facts.models import Rebuild
from custody.facts.rows import continue_numbers
from custody.facts.tally import Tally
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS

EMPTY, RESUME, ADD_MISSING = "empty", "resume", "add-missing"
# Documents of studies that a process takes at a time.
UNIT: Final = 16
# Units under way for each process.
_AHEAD: Final = 3
# Problems that leave objects without a row which may still be needed: nothing is swept until they are looked at.
_OPEN: Final = frozenset({"broken", "cold", "conflicts", "facts_unreadable", "failed", "held", "kept_out"})
# Those that are none where somebody said that studies come in without such facts.
_WITHOUT_FACTS: Final = frozenset({"facts_unreadable", "failed"})
FEED_NOTE: Final = "the change feed began anew: whoever follows it reads from its beginning"
Unit = TypeVar("Unit")
Result = TypeVar("Result")


class NotEmpty(Exception):
    """The index holds something, and nobody said that it may be added to."""


class KeptOut(Exception):
    """Studies wait for their facts: if it were left so, the sweep would take their objects for orphans."""


@dataclass(slots=True)
class Progress:
    """Where a run is: ``done`` of ``total`` in this phase, instances so far, since ``began`` (``time.monotonic``)."""

    tell: Callable[["Progress"], None]
    phase: str = ""
    done: int = 0
    total: int = 0
    instances: int = 0
    began: float = field(default_factory=time.monotonic)
    phase_began: float = 0.0

    def begin(self, phase: str, total: int) -> None:
        """The next phase."""
        self.phase, self.done, self.total, self.phase_began = phase, 0, total, time.monotonic()

    def step(self, done: int, instances: int = 0) -> None:
        """So many more."""
        self.done += done
        self.instances += instances
        self.tell(self)

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.instances / max(time.monotonic() - self.began, 0.001)

    @property
    def seconds_left(self) -> float | None:
        """Of this phase, as it went so far."""
        if not self.done:
            return None
        return (self.total - self.done) * (time.monotonic() - self.phase_began) / self.done


def check_mode(mode: str) -> None:
    """Raises ``NotEmpty`` unless the index may be written to in this mode."""
    if mode == EMPTY and (Study.objects.exists() or Instance.objects.exists()):
        raise NotEmpty("the index is not empty: --resume goes on with a rebuild, --add-missing adds what it lacks")
    if mode == RESUME and not Rebuild.objects.filter(finished_at=None).exists():
        raise NotEmpty("no rebuild was broken off; --add-missing adds what the index lacks")


def rebuild(mode: str, *, processes: int, progress: Progress, without_facts: bool = False) -> dict[str, Any]:
    """Do it, and return the summary, which is kept as well. A study whose facts can't be read is kept out, unless
    ``without_facts``: then it comes in as its objects say.

    Raises ``NotEmpty``, ``ObjectStoreUnavailable`` and what the database raises; then ``resume`` goes on.
    """
    check_mode(mode)
    run = Rebuild.objects.filter(finished_at=None).order_by("pk").first() or Rebuild.objects.create(mode=mode)
    if run.mode == NEEDED:
        run.mode = EMPTY if mode == EMPTY else ADD_MISSING
        run.save(update_fields=["mode"])
    tally = Tally()
    _archive(tally)
    _patients(tally, progress)
    keys = list(documents.newest(STUDY_FACTS))
    progress.begin("studies", len(keys))
    with _processes(processes) as each_in_turn:
        for size, part in each_in_turn(_study_unit, _units(keys, UNIT)):
            tally.add(part)
            progress.step(size, part.counts["instances"])
        continue_numbers(Patient, Study, Series, Instance)
        _unknown(each_in_turn, tally, progress, without_facts)
    return _finish(run, tally, progress, _OPEN - _WITHOUT_FACTS if without_facts else _OPEN)


def _archive(tally: Tally) -> None:
    for key in documents.newest(ARCHIVE_FACTS):
        facts = _read(key, tally)
        if facts is not None and not is_done(ARCHIVE_FACTS, facts):
            subject = facts.content["subject"]
            providers.restore(ARCHIVE_FACTS, subject, facts.content.get("more", {}), moment_of(facts))
            remember(ARCHIVE_FACTS, subject, facts)


def _patients(tally: Tally, progress: Progress) -> None:
    keys = list(documents.newest(PATIENT_FACTS))
    progress.begin("patients", len(keys))
    for key in keys:
        facts = _read(key, tally)
        if facts is not None:
            patients.restore(facts, tally)
        progress.step(1)


def _read(key: str, tally: Tally) -> Facts | None:
    try:
        return documents.read(key)
    except UnreadableFacts as error:
        tally.problem("facts_unreadable", str(error))
        return None


def _study_unit(keys: Sequence[str]) -> tuple[int, Tally]:
    return len(keys), studies.restore(keys)


def _unknown(each_in_turn: Any, tally: Tally, progress: Progress, without_facts: bool) -> None:
    for beginning in (unknown.ORIGINALS, unknown.TRANSCODED):
        keys = unknown.unknown_keys(beginning)
        progress.begin("objects without facts", len(keys))
        for found in each_in_turn(unknown.read, unknown.chunks(keys)):
            before = tally.counts["without_facts"]
            unknown.take(found, tally, without_facts=without_facts)
            progress.step(len(found), tally.counts["without_facts"] - before)


def _units(items: Sequence[Unit], size: int) -> Iterator[Sequence[Unit]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _begin_process() -> None:
    """Nothing of the parent's: neither its connections, nor what it does when it is told to end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    connections.close_all()


class _processes:
    """So many processes, each with a connection of its own; they end with this one, whatever ends it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> Callable[[Callable[[Unit], Result], Iterable[Unit]], Iterator[Result]]:
        # A child must not go on with its parent's conversation.
        connections.close_all()
        self._pool = multiprocessing.get_context("fork").Pool(self._number, initializer=_begin_process)
        return self._each

    def __exit__(self, error: type[BaseException] | None, *more: Any) -> None:
        # One that is ended while it waits for work takes the queue's lock along, and the others wait for ever.
        if error is None:
            self._pool.close()
        else:
            self._pool.terminate()
        self._pool.join()

    def _each(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """What ``work`` makes of each, in order, with few results waiting at a time."""
        waiting: deque[Any] = deque()
        for unit in units:
            waiting.append(self._pool.apply_async(work, (unit,)))
            if len(waiting) >= self._number * _AHEAD:
                yield waiting.popleft().get()
        while waiting:
            yield waiting.popleft().get()


def _finish(run: Rebuild, tally: Tally, progress: Progress, holding: frozenset[str]) -> dict[str, Any]:
    summary = {
        "mode": run.mode,
        **tally.as_json(),
        "index": {"studies": Study.objects.count(), "instances": Instance.objects.count()},
        "seconds": round(time.monotonic() - progress.began, 1),
        "instances_per_second": round(progress.rate, 1),
        **({} if run.mode == ADD_MISSING else {"change_feed": FEED_NOTE}),
    }
    told = {name: number for name, number in tally.counts.items() if number}
    event = _event(
        instance_count=tally.counts["instances"] + tally.counts["without_facts"],
        outcome=Outcome.MINOR_FAILURE if tally.problems else Outcome.SUCCESS,
        outcome_description=f"index rebuilt from the object store ({run.mode}{_said(holding)}): {told}"[:1000],
    )
    record([event])
    summary["open"] = sorted(holding & tally.problems.keys())
    runs = Rebuild.objects.filter(finished_at=None)
    runs.update(finished_at=None if summary["open"] else Now(), summary=summary)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE archive_patient, archive_study, archive_series, archive_instance")
    return summary


def _said(holding: frozenset[str]) -> str:
    return "" if holding == _OPEN else ", also without facts that can't be read"


def _event(**values: Any) -> NewAccessEvent:
    return NewAccessEvent(
        kind=kinds.IMPORT, principal_kind="system", principal_name="command line", auth_method="shell", **values
    )


def accept() -> int:
    """What is open stays as it is: the sweep may remove objects without a row again. Returns how many runs end so.

    Raises ``KeptOut``.
    """
    with transaction.atomic():
        runs = Rebuild.objects.filter(finished_at=None).exclude(summary={})
        if any("kept_out" in summary.get("open", []) for summary in runs.values_list("summary", flat=True)):
            raise KeptOut(
                "studies were kept out, as their facts can't be read: --resume once their documents are "
                "mended, or --resume --without-facts takes them in as their objects say"
            )
        ended = runs.update(finished_at=Now())
        if ended:
            record([_event(outcome_description="what a rebuild left open stays as it is: --accept")])
    return ended


def planned() -> dict[str, Any]:
    """What a run would do, from keys and facts alone; nothing is changed."""
    tally = Tally()
    named: set[int] = set()
    for key in documents.newest(STUDY_FACTS):
        facts = _read(key, tally)
        if facts is None:
            continue
        done = is_done(STUDY_FACTS, facts)
        content = facts.content
        at = content["columns"].index("object_key")
        named.update(hash(row[at]) for row in content["instances"] or [])
        for kind in ("representations", "deleted", "dropped"):
            named.update(hash(row["object_key"]) for row in content[kind] or [])
        tally.counts["studies unchanged" if done else "studies"] += 1
        if not done:
            tally.counts["instances"] += len(content["instances"] or [])
            tally.counts["representations"] += len(content["representations"] or [])
            tally.counts["deleted"] += len(content["deleted"] or [])
    tally.counts["patients"] = sum(1 for _ in documents.newest(PATIENT_FACTS))
    for beginning in (unknown.ORIGINALS, unknown.TRANSCODED):
        tally.counts[f"{beginning} without facts"] = sum(
            hash(key) not in named for key in unknown.unknown_keys(beginning)
        )
    return {"mode": "dry run", **tally.as_json()}
