"""Scrub, findings and repair as a Django application."""

from django.apps import AppConfig


class IntegrityConfig(AppConfig):
    """What is stored is read again and compared with what was received."""

    name = "custody.integrity"
    label = "integrity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The workers learn to look at one object, and at all of them; what a sweep can't remove becomes a finding."""
        from archive import outbox, sweep, tasks
        from custody.integrity import background, looking, unremovable

        tasks.TASKS[outbox.OBJECT_DAMAGED] = looking.look_at
        tasks.TASKS[outbox.SCRUB] = background.turn
        sweep.step_done.connect(unremovable.tell, dispatch_uid="findings of the sweep")
