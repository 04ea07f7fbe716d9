"""Scrub, findings and repair as a Django application."""

from django.apps import AppConfig


class IntegrityConfig(AppConfig):
    """What is stored is read again and compared with what was received."""

    name = "custody.integrity"
    label = "integrity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The workers learn to look at one object, and at all of them."""
        from archive import outbox, tasks
        from custody.integrity import background, looking

        tasks.TASKS[outbox.OBJECT_DAMAGED] = looking.look_at
        tasks.TASKS[outbox.SCRUB] = background.turn
