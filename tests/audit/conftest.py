"""Transactional tests of this room write to the trail."""

from tests.append_only import flush_may_empty_the_trail

__all__ = ["flush_may_empty_the_trail"]
