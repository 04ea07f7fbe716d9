"""Django's flush may empty the trail between tests; the application's own statements never may."""

from collections.abc import Iterator

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

TRIGGERS = {
    "audit_accessevent": ("access_event_keep_rows", "access_event_keep_table"),
    "audit_sealedevent": ("audit_sealedevent_keep_rows", "audit_sealedevent_keep_table"),
    "audit_treenode": ("audit_treenode_keep_rows", "audit_treenode_keep_table"),
}
OFF = [f"ALTER TABLE {table} DISABLE TRIGGER {name}" for table, names in TRIGGERS.items() for name in names]
ON = [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}" for table, names in TRIGGERS.items() for name in names]


@pytest.fixture(scope="session", autouse=True)
def flush_may_empty_the_trail() -> Iterator[None]:
    """Transactional tests end with a TRUNCATE; its transaction, and nothing else, goes without the triggers."""
    execute = DatabaseOperations.execute_sql_flush

    def without_triggers(self: DatabaseOperations, statements: list[str]) -> None:
        execute(self, [*OFF, *statements, *ON])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", without_triggers)
        yield
