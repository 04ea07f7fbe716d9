"""Transactional tests of this room write to the trail."""
