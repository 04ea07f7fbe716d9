"""The Celery application; tasks live in the rooms' ``tasks`` modules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
app = Celery("pacs_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
