"""The trail may be emptied between tests of this folder; what is asked once a second is no cost of a request."""

import pytest

from custody.modes import read_only
from tests.append_only import flush_may_empty_the_trail  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_only, "BELIEVED_SECONDS", 3600.0)
