"""The workitems room as a Django application."""

from django.apps import AppConfig


class WorkitemsConfig(AppConfig):
    """Work to be done on images, and who has taken it on."""

    name = "workitems"

    def ready(self) -> None:
        """Changes are written down for subscribers."""
        from workitems.changes import listen
        from workitems.subscriptions import note

        listen(note)
