"""Addresses of the FHIR resources of the trail."""

from django.urls import path

from trail import fhir_views

urlpatterns = [
    path("metadata", fhir_views.metadata, name="fhir-metadata"),
    path("AuditEvent", fhir_views.search, name="fhir-audit-events"),
    path("AuditEvent/_search", fhir_views.search_by_post, name="fhir-audit-search"),
    path("AuditEvent/<str:event>", fhir_views.read, name="fhir-audit-event"),
]
