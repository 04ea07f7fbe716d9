"""The worklist room as a Django application."""

from django.apps import AppConfig


class WorklistConfig(AppConfig):
    """What is ordered and scheduled, and which images are of which order."""

    name = "worklist"

    def ready(self) -> None:
        """The workers learn to look for the orders of what was stored, and whether these are complete."""
        from archive import metadata, outbox, tasks
        from archive.pruning import AGED, Aged
        from worklist import completion
        from worklist.reconcile import reconcile

        tasks.TASKS[outbox.RECONCILE] = reconcile
        tasks.TASKS[completion.COMPLETE] = completion.complete_study
        metadata.series_prepared.connect(completion.series_prepared)
        AGED.append(Aged("moves of orders and steps", "worklist_stateevent", "made_at", "true", "state_event_days"))
