"""The room of facts as a Django application."""

from django.apps import AppConfig


class FactsConfig(AppConfig):
    """Facts beside the objects, and the index made anew from there."""

    name = "custody.facts"
    label = "custody_facts"

    def ready(self) -> None:
        """The workers learn to write facts, and the sweep that such objects are ours."""
        from archive import outbox, sweep, tasks
        from custody.facts import behind, documents, triggers, writing
        from custody.facts.models import FactsDocument

        tasks.TASKS[triggers.STUDY_FACTS] = writing.write_study
        tasks.TASKS[triggers.PATIENT_FACTS] = writing.write_patient
        tasks.TASKS[triggers.ARCHIVE_FACTS] = writing.write_archive
        tasks.TASKS[writing.WALK] = writing.walk
        outbox.QUICK |= {triggers.STUDY_FACTS, triggers.PATIENT_FACTS}
        sweep.HOLDERS[documents.BEGINNING] = [(FactsDocument, "object_key"), (FactsDocument, "pending")]
        sweep.DOUBTS.append(behind.is_behind)
        sweep.WITNESSES.append(behind.may_be_known)
        outbox.PERIODIC.append(writing.revived)
