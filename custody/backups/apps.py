"""Backups as a Django application."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Encrypted backups and the way back."""

    name = "custody.backups"
    label = "backups"
    default_auto_field = "django.db.models.BigAutoField"
