"""The archive room as a Django application."""

from django.apps import AppConfig
from django.conf import settings

from dicom import limits


class ArchiveConfig(AppConfig):
    """What is stored: index and object store."""

    name = "archive"

    def ready(self) -> None:
        """Objects are read under the limits of this installation; the index says which should be in a store."""
        from archive import known_objects
        from archive.object_store import founding

        limits.use(settings.PACS.limits.of_dicom())
        founding.known = known_objects.some_keys
