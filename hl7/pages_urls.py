"""Addresses of the pages about interfaces and messages."""

from django.urls import path

from hl7 import pages, pages_delivery, pages_destinations, pages_parked

urlpatterns = [
    path("", pages.interfaces, name="hl7-interfaces"),
    path("messages/", pages.messages, name="hl7-messages"),
    path("messages/<int:message>/", pages.message, name="hl7-message"),
    path("parked/", pages_parked.parked, name="hl7-parked"),
    path("parked/act", pages_parked.act, name="hl7-parked-act"),
    path("destinations/", pages_destinations.destinations, name="hl7-destinations"),
    path("destinations/new", pages_destinations.new, name="hl7-destination-new"),
    path("destinations/<int:number>/", pages_destinations.destination, name="hl7-destination"),
    path("destinations/<int:number>/try", pages_destinations.trial, name="hl7-destination-try"),
    path("destinations/<int:number>/switch", pages_destinations.switched, name="hl7-destination-switch"),
    path("deliveries/", pages_delivery.page, name="hl7-deliveries"),
    path("deliveries/act", pages_delivery.act, name="hl7-deliveries-act"),
    path("deliveries/<int:number>/", pages_delivery.message, name="hl7-delivery"),
]
