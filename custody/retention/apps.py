from django.apps import AppConfig


class RetentionConfig(AppConfig):
    """Legal holds, retention, certificates of removal, quotas and upkeep."""

    name = "custody.retention"
    label = "retention"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The workers learn to carry out what was confirmed, and each sweep is certified."""
        from archive import sweep, tasks
        from custody.retention import bringing_back, carrying_out, certifying, planning

        tasks.TASKS[planning.PLAN] = planning.work_out_asked
        tasks.TASKS[carrying_out.RETENTION] = carrying_out.carry_on
        tasks.TASKS[bringing_back.UNDELETE] = bringing_back.bring_back
        sweep.objects_removed.connect(certifying.certify, dispatch_uid="certificates of removal")
