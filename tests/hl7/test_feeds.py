"""Many feeds at once about the same patients end as the same messages one by one; ``tests.hl7.feeds`` has more."""

from __future__ import annotations

import pytest

from tests.hl7.feeds import one_by_one, together

pytestmark = pytest.mark.slow
FEEDS, MESSAGES, PATIENTS = 8, 40, 2


def test_feeds_side_by_side_end_as_one_after_the_other() -> None:
    serial = one_by_one(FEEDS, MESSAGES, PATIENTS)
    assert serial.codes == {"AA": FEEDS * MESSAGES}
    found = together(FEEDS, MESSAGES, PATIENTS)
    assert found.codes == serial.codes
    assert all(serial.state.values())
    for table, rows in serial.state.items():
        assert found.state[table] == rows, table
