"""The access room as a Django application."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may see what."""

    name = "access"

    def ready(self) -> None:
        """Every sign-in is noted among the person's sessions."""
        from access.sessions_of import listen

        listen()
