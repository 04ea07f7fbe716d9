"""Modes as a Django application."""

from django.apps import AppConfig


class ModesConfig(AppConfig):
    """In which mode the installation is."""

    name = "custody.modes"
    label = "custody_modes"
    default_auto_field = "django.db.models.BigAutoField"
