"""The DICOMweb door as a Django application."""

from django.apps import AppConfig


class DicomwebConfig(AppConfig):
    """QIDO-RS, WADO-RS and STOW-RS."""

    name = "dicomweb"
