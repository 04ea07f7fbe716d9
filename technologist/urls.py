"""Addresses of the technologist's pages."""

from django.urls import path

from technologist import reconciliation, today

urlpatterns = [
    path("", today.page, name="worklist-day"),
    path("reconciliation/", reconciliation.queue, name="reconciliation"),
    path("reconciliation/<str:study>/", reconciliation.one, name="reconciliation-study"),
    path("reconciliation/<str:study>/decision", reconciliation.judge, name="reconciliation-decide"),
]
