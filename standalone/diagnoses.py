"""What the product's own figures mean, in plain words: what is wrong, why it matters, what to do. Answers in, findings
out: nothing is asked here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from standalone.findings import Finding

Figures = Mapping[str, Mapping[str, float]]
DAY = 86400.0
SEALING_LATE = 600.0
SPOOLED_LATE = 900.0
FORECAST_DAYS = 14


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure that should not be more than ``most``, or with ``least`` not less, counted in ``unit``. ``text`` and
    ``do`` may name {figure} and {label}."""

    name: str
    most: float
    text: str
    fine: str
    why: str
    do: str
    least: bool = False
    unit: float = 1.0


RULES = (
    Rule(
        "pacs_celery_dead_tasks",
        0,
        "{figure:.0f} background tasks were given up after five attempts",
        "no background task was given up",
        "Nothing is lost, but thumbnails, links to orders or search values of those studies are missing.",
        './pacs manage shell -v 0 -c "from archive.models import OutboxEntry; '
        '[print(e.kind, e.last_error) for e in OutboxEntry.objects.filter(dead=True)]"\n'
        "mend what it names (var/logs/worker.log has the place), then: docs/operations.md, Tasks that failed",
    ),
    Rule(
        "pacs_celery_oldest_task_seconds",
        10,
        "the oldest background task has waited for {figure:.0f} minutes",
        "background work is up to date",
        "New studies are readable, but their first reader waits for thumbnails, and orders find them late.",
        "./pacs status      (do worker and relay run?)\nafter a large import simply wait",
        unit=60,
    ),
    Rule(
        "pacs_hl7_parked",
        0,
        "{figure:.0f} HL7 messages could not be applied and wait for somebody",
        "no HL7 message waits for somebody",
        "What they say of patients and orders is not known here until they are applied.",
        "./pacs manage hl7_parked      (or Interfaces > Parked in the browser)",
    ),
    Rule(
        "pacs_hl7_silent",
        0,
        "nothing comes from the interface {label} for much longer than usual",
        "no HL7 feed has fallen silent",
        "Orders or patients may be missing: usually the sender, its network or its certificate is at fault.",
        "look at the sender; Interfaces in the browser has its last message",
    ),
    Rule(
        "pacs_hl7_out_oldest_seconds",
        10,
        "messages to {label} have waited for {figure:.0f} minutes",
        "HL7 messages go out",
        "A partner doesn't know yet what was reported or ordered.",
        "./pacs manage hl7_destination {label} --try      (what does the connection fail on?)",
        unit=60,
    ),
    Rule(
        "pacs_hl7_out_dead",
        0,
        "{figure:.0f} messages to {label} were refused or given up",
        "no outgoing HL7 message was given up",
        "The partner never got them.",
        "./pacs manage hl7_deliveries --state dead\n"
        "./pacs manage hl7_deliveries --retry-dead --destination {label}      (once it is mended)",
    ),
    Rule(
        "pacs_findings_open",
        0,
        "{figure:.0f} stored objects are {label}",
        "the scrub has found nothing that is still open",
        "They can't be read as they were received until they are repaired.",
        "Stored objects in the administration of the browser; docs/runbooks.md, IntegrityFailures",
    ),
    Rule(
        "pacs_read_only",
        0,
        "the archive is read-only: nothing is stored",
        "the archive takes what is stored",
        "Modalities are told to come again; it was switched on by somebody, or by a disk that is nearly full.",
        "make room, or see docs/operations.md, Read-only mode",
    ),
    Rule(
        "pacs_alerts_open",
        0,
        "{figure:.0f} alerts of the access trail wait for somebody",
        "no alert of the access trail waits",
        "Somebody may have looked at what was not theirs.",
        "Trail > Alerts in the browser, as an auditor",
    ),
    Rule(
        "pacs_cert_expiry_seconds",
        21,
        "the certificate of {label} ends in {figure:.0f} days",
        "no certificate ends soon",
        "When it has ended, senders refuse to connect.",
        "renew it, put it where the old one was, and restart Lightbox",
        least=True,
        unit=DAY,
    ),
)


def of_figures(figures: Figures) -> Iterator[Finding]:
    """By the table; what couldn't be asked for is said once each."""
    for rule in RULES:
        if rule.name in figures:
            yield from _judged(rule, figures[rule.name])
    failed = [group for group, has in figures.get("pacs_scrape_failed", {}).items() if has]
    if failed:
        text = f"these can't be judged, as the database or the queue doesn't tell: {', '.join(failed)}"
        yield Finding(False, text, "Something may be wrong that is not seen here.", "tail var/logs/web.log")
    yield from _connections(figures)
    yield from _spool(figures)


def _judged(rule: Rule, found: Mapping[str, float]) -> Iterator[Finding]:
    bad = [(label, figure / rule.unit) for label, figure in found.items() if _is_bad(rule, figure / rule.unit)]
    for label, figure in bad:
        words = {"figure": figure, "label": label.replace("_", " ")}
        yield Finding(False, rule.text.format(**words), rule.why, rule.do.format(**words))
    if not bad and found:
        yield Finding(True, rule.fine)


def _is_bad(rule: Rule, figure: float) -> bool:
    return figure < rule.most if rule.least else figure > rule.most


def _connections(figures: Figures) -> Iterator[Finding]:
    used = sum(figures.get("pacs_db_connections", {}).values())
    most = figures.get("pacs_db_connections_max", {}).get("")
    if most:
        text = f"{used:.0f} of {most:.0f} sessions of the database are in use"
        why = "When they are gone, requests are refused."
        yield Finding(used < most * 0.85, text, why, "raise max_connections of PostgreSQL and restart it")


def _spool(figures: Figures) -> Iterator[Finding]:
    """What was stored while the object store was away; told where there is a store that can be."""
    objects, size, oldest = (
        figures.get(f"pacs_spool_{each}", {}).get("") for each in ("objects", "bytes", "oldest_seconds")
    )
    if objects is None or size is None or oldest is None:
        return
    if not objects:
        yield Finding(True, "nothing waits on this machine for the object store")
        return
    text = f"{objects:.0f} objects ({size / (1 << 20):.1f} MiB) wait on this machine for the object store"
    yield Finding(
        False if oldest > SPOOLED_LATE else None,
        f"{text}, the oldest for {oldest / 60:.0f} minutes",
        "They were acknowledged, and there is one copy of them: on this disk. It must not be lost or wiped.",
        "bring the object store back; they move by themselves\ndocs/runbooks.md, SpoolWaits",
    )


def of_trail(sealed: int, signed: int, unsealed_seconds: float, unsigned_seconds: float) -> Finding:
    """How far the access trail is sealed and signed."""
    text = f"{sealed} events of the access trail are sealed, {signed} of them under a signed checkpoint"
    if signed > sealed:
        return Finding(
            False,
            f"{text}: some are gone",
            "Either the database was restored from a backup, or somebody took events away.",
            "./pacs audit verify\nafter a restore: docs/operations.md, Where things lie",
        )
    if max(unsealed_seconds, unsigned_seconds) > SEALING_LATE:
        return Finding(
            False,
            f"{text}; others have waited for more than {SEALING_LATE // 60:.0f} minutes",
            "Until they are sealed, nobody would notice if they were changed.",
            "./pacs status      (does the relay run?)\n./pacs manage audit_status      (what failed last)",
        )
    return Finding(True, text)


def of_backups(target: str, last_good: str, hours: float | None, late: bool, failed: str) -> Finding:
    """How old the newest good backup is."""
    if not target and not last_good:
        return Finding(
            None,
            "there is no backup",
            "If this disk breaks, everything is gone. For a trial that is all right.",
            "./pacs backup /another/disk      (or PACS_BACKUP__TARGET, then one is made each day)",
        )
    text = f"the last good backup reaches until {last_good} ({hours} h ago)" if last_good else "no backup ended well"
    last = f" The last one failed: {failed}." if failed else ""
    why = f"What is newer would be lost with the database.{last}"
    return Finding(not late and not failed and bool(last_good), text, why, "./pacs backup")


def of_rebuild(why: str, command: str) -> Finding:
    """Whether the index lacks what the object store has."""
    if not why:
        return Finding(True, "the index knows what the object store has")
    matters = (
        "Until a rebuild has ended studies may be missing, or be as they were before, and nothing is removed from the "
        "object store."
    )
    return Finding(False, f"a rebuild is due: {why}", matters, command)


# Setting of PostgreSQL -> what it should be, why, and whether something is wrong (or only slower) otherwise.
_SETTINGS: tuple[tuple[str, Callable[[str], bool], str, str, bool], ...] = (
    ("fsync", lambda v: v == "on", "on", "A power cut may destroy the whole database.", True),
    ("full_page_writes", lambda v: v == "on", "on", "A power cut may destroy the whole database.", True),
    ("synchronous_commit", lambda v: v != "off", "on", "Acknowledged studies may be lost in a power cut.", True),
    ("autovacuum", lambda v: v == "on", "on", "Tables grow and searches become slow.", True),
    ("log_statement", lambda v: v == "none", "none", "Patients' names go into its log.", True),
    ("log_min_duration_statement", lambda v: v == "-1", "-1", "Patients' names go into its log.", True),
    ("log_min_error_statement", lambda v: v == "panic", "panic", "Patients' names go into its log.", True),
    ("max_connections", lambda v: int(v) >= 100, "100", "Each of 64 web threads may hold a session.", True),
    ("jit", lambda v: v == "off", "off", "Searches take two to three times as long.", False),
    ("random_page_cost", lambda v: float(v) <= 2, "1.1", "Searches may go through whole tables.", False),
)


def of_database(settings: Mapping[str, str]) -> Iterator[Finding]:
    """What PostgreSQL is set to."""
    wrong = 0
    for name, is_good, wanted, why, matters in _SETTINGS:
        value = settings.get(name)
        if value is not None and not is_good(value):
            wrong += 1
            do = f"ALTER SYSTEM SET {name} = '{wanted}';      (as superuser in psql; then restart PostgreSQL)"
            yield Finding(False if matters else None, f"PostgreSQL: {name} is {value}", why, do)
    if not wrong:
        yield Finding(True, "PostgreSQL is set as it should be")


def of_clock(seconds: float) -> Finding:
    """How far the clocks of this machine and of the database are apart."""
    text = f"the clocks of this machine and of the database are {abs(seconds):.1f} s apart"
    why = "Sessions, tokens and retention go by the time, and the trail must tell it right."
    return Finding(abs(seconds) < 2, text, why, "timedatectl set-ntp true      (on both machines)")


def of_disk(free: int, per_day: float | None) -> Finding:
    """When the disk of the objects is full, at the pace of the last week."""
    if not per_day or per_day < 1:
        return Finding(None, "nothing was stored in the last week, so there is no forecast for the disk")
    days = free / per_day
    text = f"{per_day / (1 << 30):.2f} GiB came a day in the last week: the disk is full in {min(days, 9999):.0f} days"
    why = "Studies are refused when it is full (507)."
    do = "add room, or let studies go: docs/operations.md, Tiers"
    return Finding(days > FORECAST_DAYS, text, why, do)


def known(found: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """An answer of the inspection; empty where it failed, which is said elsewhere."""
    answer = found.get(name, {})
    return {} if "error" in answer else answer
