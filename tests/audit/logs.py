"""A trail to tamper with: events, a folder of checkpoints, and the rights of a superuser."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from audit import tree
from audit.canonical import CANONICAL_SQL, FIELDS
from audit.checkpoints import Signer, read, signer
from audit.kinds import RETRIEVE
from audit.merkle import Frontier, leaf_hash
from audit.places import Folder
from audit.record import NewAccessEvent, record
from audit.sealer import checkpoint
from audit.sealing import seal
from audit.verify import Report, verify
from tests.append_only import OFF, ON

_OTHERS = ", ".join(name for name in FIELDS if name not in ("sequence", "recorded_at"))
# One more event like the first one, with a sequence and a time of its own.
COPY_OF_THE_FIRST = (
    f"INSERT INTO audit_accessevent (sequence, recorded_at, {_OTHERS}) "  # noqa: S608 - our own columns
    f"SELECT nextval('audit_accessevent_sequence_seq'), now(), {_OTHERS} FROM audit_accessevent "
    "ORDER BY sequence LIMIT 1"
)


class Log:
    """One installation's log with its folder and key."""

    def __init__(self, home: Path) -> None:
        self.folder = Folder(home / "checkpoints")
        self.signer: Signer = signer(home / "key", "pacs.example.org/log")

    def grow(self, count: int, *, sign: bool = True) -> None:
        """``count`` further events, sealed, and signed as the relay does."""
        begins = tree.size()
        record([an_event(request_id=f"r{begins + number}") for number in range(1, count + 1)])
        seal()
        if sign:
            checkpoint(self.folder, self.signer)

    def verify(self) -> Report:
        keys = [self.signer.public]
        return verify([read(path.read_text(), keys) for path in self.folder.checkpoints()], self.folder)

    def sign_again(self) -> None:
        """What an intruder who has no key can't do; for tests of the folder itself."""
        size = tree.size()
        self.folder.write_checkpoint(self.signer.sign(size, tree.frontier(size).root(), datetime.now(UTC)))


def an_event(**fields: Any) -> NewAccessEvent:
    return NewAccessEvent(kind=RETRIEVE, principal_kind="person", principal_id="p1", study_uids=["1.2.3"], **fields)


def as_superuser(*statements: str | tuple[str, Sequence[Any]] | Callable[[], Any]) -> None:
    """With every trigger away, as somebody who owns the database can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(OFF))
        for statement in statements:
            if callable(statement):
                statement()
            elif isinstance(statement, tuple):
                cursor.execute(*statement)
            else:
                cursor.execute(statement)
        cursor.execute("; ".join(ON))


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def sequence_at(position: int) -> int:
    return int(rows("SELECT sequence FROM audit_sealedevent WHERE position = %s", position)[0][0])


def hash_everything_anew() -> None:
    """Each leaf and each node as the events now are: the log is in order by itself."""
    frontier = Frontier()
    changed = rows(
        f"SELECT s.position, {CANONICAL_SQL} FROM audit_sealedevent s "  # noqa: S608
        "JOIN audit_accessevent e ON e.sequence = s.sequence ORDER BY s.position"
    )
    with connection.cursor() as cursor:
        for position, text in changed:
            leaf = leaf_hash(text.encode())
            frontier.append(leaf)
            cursor.execute("UPDATE audit_sealedevent SET leaf_hash = %s WHERE position = %s", [leaf, position])
        cursor.execute("DELETE FROM audit_treenode")
        for level, index, hashed in frontier.kept:
            cursor.execute("INSERT INTO audit_treenode VALUES (%s, %s, %s)", [level, index, hashed])
