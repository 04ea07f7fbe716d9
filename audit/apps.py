"""The audit room as a Django application."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    """Who saw or did what."""

    name = "audit"

    def ready(self) -> None:
        """With each migration the trail gets the partitions of the next months."""
        from audit.partitions import keep_ahead

        post_migrate.connect(keep_ahead, sender=self)
