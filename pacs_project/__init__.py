"""Wiring: configuration, settings, URLs, WSGI and Celery. Loading it makes the Celery application current."""

from pacs_project.celery import app as celery_app

__all__ = ["celery_app"]
