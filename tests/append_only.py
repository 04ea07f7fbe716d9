"""Django's flush may empty the trail between tests; the application's own statements never may."""

from collections.abc import Iterator

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

TRIGGERS = ("access_event_keep_rows", "access_event_keep_table")


@pytest.fixture(scope="session", autouse=True)
def flush_may_empty_the_trail() -> Iterator[None]:
    """Transactional tests end with a TRUNCATE; its transaction, and nothing else, goes without the triggers."""
    execute = DatabaseOperations.execute_sql_flush

    def without_triggers(self: DatabaseOperations, statements: list[str]) -> None:
        off = [f"ALTER TABLE audit_accessevent DISABLE TRIGGER {name}" for name in TRIGGERS]
        on = [f"ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER {name}" for name in TRIGGERS]
        execute(self, [*off, *statements, *on])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", without_triggers)
        yield
