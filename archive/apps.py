"""The archive room as a Django application."""

from django.apps import AppConfig
from django.conf import settings

from dicom import limits


class ArchiveConfig(AppConfig):
    """What is stored: index and object store."""

    name = "archive"

    def ready(self) -> None:
        """Objects are read under the limits of this installation."""
        limits.use(settings.PACS.limits.of_dicom())
