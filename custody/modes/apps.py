"""Modes as a Django application."""

from django.apps import AppConfig


class ModesConfig(AppConfig):
    """In which mode the installation is."""

    name = "custody.modes"
    label = "custody_modes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Commands that store learn to ask."""
        from archive import standstill
        from custody.modes.read_only import why_read_only

        standstill.REASONS.append(why_read_only)
