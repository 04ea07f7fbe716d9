"""What the launcher tells a person instead of a traceback."""


class StandaloneError(Exception):
    """Something the person at the keyboard can put right; the message says what and how."""


class ServiceFailed(StandaloneError):
    """A child process did not come up or went away; the message ends with the tail of its log."""
