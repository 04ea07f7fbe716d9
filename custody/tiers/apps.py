"""The room of tiers and seals as a Django application."""

from django.apps import AppConfig


class TiersConfig(AppConfig):
    """Objects under other keys than before: in another tier, or under another seal."""

    name = "custody.tiers"
    label = "custody_tiers"

    def ready(self) -> None:
        """The workers learn to bring objects back, and to move them in their hours."""
        from archive import outbox, tasks
        from custody.tiers import moving, priors, recalling

        tasks.TASKS[outbox.RECALL] = recalling.recall_series
        tasks.TASKS[moving.MOVE_OBJECTS] = moving.move_in_hours
        tasks.TASKS[priors.RECALL_PRIORS] = priors.recall_due
        outbox.PERIODIC.append(moving.first_step)
        outbox.PERIODIC.append(priors.look)
