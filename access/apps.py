"""The access room as a Django application."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may see what."""

    name = "access"
