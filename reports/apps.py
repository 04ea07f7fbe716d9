from django.apps import AppConfig
from django.db.models.signals import post_save


class ReportsConfig(AppConfig):
    """Reports."""

    name = "reports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Orders tell of themselves, and the workers learn to give them the reports that came earlier."""
        from archive import tasks
        from reports.late_orders import REPORTS_OF_ORDER, order_saved, take_up
        from worklist.models import Order

        post_save.connect(order_saved, sender=Order, dispatch_uid="reports of an order")
        tasks.TASKS[REPORTS_OF_ORDER] = take_up
