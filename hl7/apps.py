from django.apps import AppConfig


class Hl7Config(AppConfig):
    """HL7 v2."""

    name = "hl7"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Others are told of what happens to orders and reports, in the transaction in which it happens."""
        from hl7.outbound import tell_of_order, tell_of_report
        from reports.receiving import version_kept
        from worklist.states import state_changed

        state_changed.connect(tell_of_order, dispatch_uid="hl7.outbound")
        version_kept.connect(tell_of_report, dispatch_uid="hl7.outbound")
