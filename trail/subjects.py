"""What audit messages say besides the event: what the archive knows of the studies, and where the message is from."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings

from archive.models import Study
from audit.messages import Source, Subject


def subjects(study_uids: Iterable[str]) -> dict[str, Subject]:
    """Patient ID and accession number by Study Instance UID, in one query; studies that are gone are left out."""
    found = Study.objects.filter(study_instance_uid__in=set(study_uids))
    rows = found.values_list("study_instance_uid", "patient__patient_id", "accession_number")
    return {uid: Subject(patient_id, accession) for uid, patient_id, accession in rows}


def source() -> Source:
    """What our audit messages name as their source."""
    root = settings.PACS.public_root
    return Source(urlsplit(root).hostname or "localhost", root, settings.PACS.syslog.site)
