"""Django's name for the room."""

from django.apps import AppConfig


class ViewerConfig(AppConfig):
    name = "viewer"
