"""Wishes for facts documents, written by the database in the transaction of the change, whoever makes it.

A trigger runs once a statement and writes one wish a subject, so that no statement of a Store is added to. A subject is
left alone until it has been quiet for ``QUIET_SECONDS``, but no longer than ``LONGEST_SECONDS``; one that was sent to
the workers already is not sent again for each change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

STUDY_FACTS = "study_facts"
PATIENT_FACTS = "patient_facts"
ARCHIVE_FACTS = "archive_facts"
QUIET_SECONDS = 5
LONGEST_SECONDS = 60
# While this setting of a transaction is "off" nothing is wished for: the facts are just being read.
SWITCH = "lightbox.facts"

_ROWS: Mapping[str, str] = {
    "INSERT": "REFERENCING NEW TABLE AS changed",
    "UPDATE": "REFERENCING OLD TABLE AS was NEW TABLE AS changed",
    "DELETE": "REFERENCING OLD TABLE AS changed",
}
_WISH = """
    INSERT INTO archive_outboxentry AS entry (kind, subject, generation, attempts, dead, last_error, not_before)
    SELECT '{kind}', subject, 1, 0, false, '', statement_timestamp() + interval '{quiet} seconds'
    FROM ({subjects}) AS wish (subject) WHERE subject <> '' GROUP BY subject ORDER BY subject
    ON CONFLICT (kind, subject) DO UPDATE SET
        generation = entry.generation + 1, attempts = 0, dead = false, last_error = '',
        created_at = CASE WHEN entry.attempts = 0 AND NOT entry.dead THEN entry.created_at
            ELSE statement_timestamp() END,
        not_before = CASE WHEN entry.attempts > 0 OR entry.dead THEN EXCLUDED.not_before
            WHEN entry.not_before > EXCLUDED.not_before AND entry.last_error = '' THEN entry.not_before
            ELSE LEAST(EXCLUDED.not_before, entry.created_at + interval '{longest} seconds') END;
"""


@dataclass(frozen=True, slots=True)
class Wisher:
    """Of which subjects a change of ``table`` speaks: ``subjects`` is a query over ``changed``, one column of text.

    At an UPDATE that is the rows as they are now; ``was`` is how they were.
    """

    table: str
    kind: str
    subjects: str
    events: tuple[str, ...] = ("INSERT", "UPDATE", "DELETE")


def create(wisher: Wisher) -> str:
    """The SQL that makes the triggers of ``wisher``, for a migration."""
    return "".join(_created(wisher, event) for event in wisher.events)


def drop(wisher: Wisher) -> str:
    """The SQL that takes them away."""
    return "".join(f"DROP FUNCTION IF EXISTS {_name(wisher, event)}() CASCADE;\n" for event in wisher.events)


def _name(wisher: Wisher, event: str) -> str:
    return f"{wisher.kind}_of_{wisher.table}_{event.lower()}"


def _created(wisher: Wisher, event: str) -> str:
    name = _name(wisher, event)
    wish = _WISH.format(kind=wisher.kind, subjects=wisher.subjects, quiet=QUIET_SECONDS, longest=LONGEST_SECONDS)
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
        f"    IF current_setting('{SWITCH}', true) = 'off' THEN RETURN NULL; END IF;{wish}"
        "    RETURN NULL;\nEND $$;\n"
        f"CREATE TRIGGER {name} AFTER {event} ON {wisher.table} {_ROWS[event]} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}();\n"
    )
