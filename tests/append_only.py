"""Django's flush may empty the trail between tests; the application's own statements never may."""

from collections.abc import Iterator
from typing import Final

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

# Each table of the trail with its partitions, which have triggers of their own.
_EACH: Final = """
DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN
        SELECT t.tgrelid::regclass AS name, t.tgname FROM pg_trigger t LEFT JOIN pg_inherits i ON i.inhrelid = t.tgrelid
        WHERE coalesce(i.inhparent, t.tgrelid)::regclass::text
              IN ('audit_accessevent', 'audit_sealedevent', 'audit_treenode', 'audit_archivedpartition')
          AND t.tgname ~ 'keep_(rows|table)$'
    LOOP
        EXECUTE format('ALTER TABLE %s {} TRIGGER %I', guard.name, guard.tgname);
    END LOOP;
END
$$"""
OFF = [_EACH.replace("{}", "DISABLE")]
ON = [_EACH.replace("{}", "ENABLE ALWAYS")]


@pytest.fixture(scope="session", autouse=True)
def flush_may_empty_the_trail() -> Iterator[None]:
    """Transactional tests end with a TRUNCATE; its transaction, and nothing else, goes without the triggers."""
    execute = DatabaseOperations.execute_sql_flush

    def without_triggers(self: DatabaseOperations, statements: list[str]) -> None:
        execute(self, [*OFF, *statements, *ON])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", without_triggers)
        yield
