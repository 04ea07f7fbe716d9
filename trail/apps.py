from django.apps import AppConfig


class TrailConfig(AppConfig):
    """Trail."""

    name = "trail"
    default_auto_field = "django.db.models.BigAutoField"
