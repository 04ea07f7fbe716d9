from django.apps import AppConfig


class TechnologistConfig(AppConfig):
    """The pages of those who make images."""

    name = "technologist"
