"""Addresses of the queue's JSON resources, below ``/api/worklist/``."""

from django.urls import path

from technologist.api import Judgements, OneStudy, Queue

urlpatterns = [
    path("reconciliation", Queue.as_view(), name="api-reconciliation"),
    path("reconciliation/<str:study>", OneStudy.as_view(), name="api-reconciliation-study"),
    path("reconciliation/<str:study>/decision", Judgements.as_view(), name="api-reconciliation-decision"),
]
