"""The trail may be emptied between tests of this folder."""

from tests.append_only import flush_may_empty_the_trail  # noqa: F401 - a fixture
