"""Sessions in the database, whose keys are looked up only if they look like one."""

import re

from django.contrib.sessions.backends import db

KEY = re.compile(r"[a-z0-9]{32}")


class SessionStore(db.SessionStore):
    """A cookie may hold any bytes; a NUL among them is an error of the database, for anybody who sends it."""

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and KEY.fullmatch(key or "") is not None
