"""Where HL7 messages come in over HTTP."""

from django.urls import path

from hl7.view import Hl7V2

urlpatterns = [path("v2", Hl7V2.as_view(), name="hl7-v2")]
