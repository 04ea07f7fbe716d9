from django.apps import AppConfig


class Hl7Config(AppConfig):
    """HL7 v2."""

    name = "hl7"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Others are told of what happens to orders and reports, in the transaction in which it happens."""
        from archive.pruning import AGED, Aged
        from hl7.outbound import tell_of_order, tell_of_report
        from reports.receiving import version_kept
        from worklist.states import state_changed

        state_changed.connect(tell_of_order, dispatch_uid="hl7.outbound")
        version_kept.connect(tell_of_report, dispatch_uid="hl7.outbound")
        # What somebody still has to look at, or is still on its way, stays.
        settled = "state IN ('applied', 'repeated', 'refused', 'superseded', 'replayed', 'dismissed')"
        AGED.append(Aged("HL7 messages that came", "hl7_hl7message", "received_at", settled, "hl7_days"))
        sent = "state = 'acked'"
        AGED.append(Aged("HL7 messages that were delivered", "hl7_outboundmessage", "made_at", sent, "hl7_days"))
