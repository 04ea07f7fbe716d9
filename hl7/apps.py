from django.apps import AppConfig


class Hl7Config(AppConfig):
    """HL7 v2."""

    name = "hl7"
    default_auto_field = "django.db.models.BigAutoField"
