"""The archive room as a Django application."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """What is stored: index and object store."""

    name = "archive"
