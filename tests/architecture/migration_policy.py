"""What a migration may do, so that the release before goes on serving while it runs and after it has run.

Expand only: new tables, new columns that the release before needn't know, indexes that are made while others write.
What takes something away (contracts) comes a release later, when no release that still serves knows it: it is named in
``EXCEPTIONS``, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.postgres import operations as postgres
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

# The newest migration of each room that was made before there was this policy (or before the last release).
RELEASED: Final[Mapping[str, str]] = {
    "access": "0010_links",
    "archive": "0009_patients",
    "audit": "0007_functions_that_record",
    "hl7": "0002_outbound",
    "reports": "0002_attachments_and_documents",
    "workitems": "0002_subscriptions",
    "worklist": "0002_performed",
}
# (room, migration) -> why it is all right although the policy says otherwise
EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a migration does that it may not."""

    app: str
    migration: str
    text: str


class _Here:
    """What is known at one place of one migration."""

    def __init__(self, migration: migrations.Migration) -> None:
        self.migration = migration
        self.made: set[str] = set()


def findings(loader: MigrationLoader, ours: set[str]) -> Iterator[Finding]:
    """Of every migration after ``RELEASED`` of the applications ``ours``."""
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if app in ours and name > RELEASED.get(app, "") and (app, name) not in EXCEPTIONS:
            for text in of_migration(migration):
                yield Finding(app, name, text)


def of_migration(migration: migrations.Migration) -> Iterator[str]:
    """What one migration does that it may not, in the order of its operations."""
    here = _Here(migration)
    # The first migration of an application can only meet tables of its own.
    first = migration.initial or False
    for operation in _flat(migration.operations):
        rule = next((RULES[kind] for kind in type(operation).__mro__ if kind in RULES), _unknown)
        if not (first and rule in (_index, _constraint)):
            yield from rule(operation, here)
    if not migration.atomic and not all(isinstance(each, _REPEATABLE) for each in _flat(migration.operations)):
        yield (
            "is not atomic, so a kill may leave a part of it: only indexes that are made concurrently, and Python that "
            "can be repeated, may be in it; the rest belongs in a migration of its own"
        )


def _flat(operations: Any) -> Iterator[Any]:
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from _flat(operation.database_operations)
        else:
            yield operation


def _create(operation: Any, here: _Here) -> Iterator[str]:
    here.made.add(operation.name.lower())
    yield from ()


def _add_field(operation: Any, here: _Here) -> Iterator[str]:
    field, name = operation.field, f"{operation.model_name}.{operation.name}"
    if operation.model_name.lower() in here.made:
        return
    if not field.many_to_many and not field.null and field.db_default is NOT_PROVIDED:
        yield f"adds {name}, which is neither nullable nor has a db_default: the release before can't write rows"
    if field.unique or field.db_index:
        yield f"adds {name} with an index, which is made under a lock: make it concurrently, in a migration of its own"
    if field.many_to_one and field.db_constraint:
        yield f"adds {name} with a foreign key, whose check reads the table under a lock: db_constraint=False"


def _alter_field(operation: Any, here: _Here) -> Iterator[str]:
    if operation.model_name.lower() not in here.made:
        yield (
            f"alters {operation.model_name}.{operation.name}: a change of the type rewrites the table, and one of the "
            "null-ness breaks the release before"
        )


def _index(operation: Any, here: _Here) -> Iterator[str]:
    if operation.model_name.lower() not in here.made:
        yield f"makes the index {operation.index.name} under a lock: AddIndexConcurrently, in a migration of its own"


def _constraint(operation: Any, here: _Here) -> Iterator[str]:
    if operation.model_name.lower() not in here.made:
        yield f"checks {operation.constraint.name} under a lock: AddConstraintNotValid, then ValidateConstraint"


def _contract(operation: Any, here: _Here) -> Iterator[str]:
    yield f"takes something away that the release before knows: {operation.describe()}"


def _sql(operation: Any, here: _Here) -> Iterator[str]:
    """Statements can be anything: those that are known to lock, rewrite or take away are named."""
    told = operation.sql if isinstance(operation.sql, str) else " ".join(str(each) for each in operation.sql)
    text = " ".join(told.upper().split())
    for words, why in _STATEMENTS.items():
        if found := re.search(words, text):
            yield f"has {found[0]}: {why}"


def _nothing(operation: Any, here: _Here) -> Iterator[str]:
    yield from ()


def _unknown(operation: Any, here: _Here) -> Iterator[str]:
    yield f"has an operation that the policy doesn't know: {type(operation).__name__}"


Rule = Callable[[Any, _Here], Iterator[str]]
RULES: Final[Mapping[type, Rule]] = {
    migrations.CreateModel: _create,
    migrations.AddField: _add_field,
    migrations.AlterField: _alter_field,
    postgres.AddIndexConcurrently: _nothing,
    postgres.RemoveIndexConcurrently: _nothing,
    migrations.AddIndex: _index,
    migrations.AddConstraint: _constraint,
    postgres.AddConstraintNotValid: _nothing,
    postgres.ValidateConstraint: _nothing,
    migrations.RemoveField: _contract,
    migrations.RenameField: _contract,
    migrations.RenameModel: _contract,
    migrations.DeleteModel: _contract,
    migrations.AlterModelTable: _contract,
    migrations.AlterUniqueTogether: _contract,
    migrations.RemoveIndex: _contract,
    migrations.RemoveConstraint: _contract,
    migrations.RenameIndex: _contract,
    migrations.AlterModelOptions: _nothing,
    migrations.AlterModelManagers: _nothing,
    migrations.RunSQL: _sql,
    migrations.RunPython: _nothing,
    postgres.CreateExtension: _nothing,
}
_STATEMENTS: Final[Mapping[str, str]] = {
    "DROP TABLE": "the release before knows it",
    "DROP COLUMN": "the release before knows it",
    "RENAME (COLUMN|TO|CONSTRAINT)": "the release before knows it by its name",
    "TRUNCATE TABLE": "what is stored is not to be removed by an update",
    r"ALTER (COLUMN )?\S+ (SET DATA )?TYPE": "it rewrites the table, or breaks the release before",
    "LOCK TABLE": "everybody waits",
    "SET NOT NULL": "it reads the table under a lock",
}
_REPEATABLE: Final = (
    postgres.AddIndexConcurrently,
    postgres.RemoveIndexConcurrently,
    postgres.ValidateConstraint,
    migrations.RunPython,
)
