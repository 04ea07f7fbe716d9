"""The portal's tests borrow the people and studies of the access room."""

from tests.access.conftest import (
    browser,
    make_client,
    make_person,
    make_study,
    make_token,
    shift_session,
)

__all__ = [
    "browser",
    "make_client",
    "make_person",
    "make_study",
    "make_token",
    "shift_session",
]
