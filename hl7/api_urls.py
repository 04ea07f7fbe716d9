"""Addresses of the JSON resources about interfaces and messages, below ``/api/hl7/``."""

from django.urls import path

from hl7.api import Dismissal, Interfaces, Messages, MessageSearch, OneMessage, Replay
from hl7.api_deliveries import Deliveries, GivingUp, OneDelivery, Retry
from hl7.api_destinations import Destinations, DestinationTrial, OneDestination
from hl7.api_replays import Replays

urlpatterns = [
    path("interfaces", Interfaces.as_view(), name="api-hl7-interfaces"),
    path("messages", Messages.as_view(), name="api-hl7-messages"),
    path("messages/search", MessageSearch.as_view(), name="api-hl7-messages-search"),
    path("messages/<int:message>", OneMessage.as_view(), name="api-hl7-message"),
    path("messages/<int:message>/replay", Replay.as_view(), name="api-hl7-replay"),
    path("replays", Replays.as_view(), name="api-hl7-replays"),
    path("messages/<int:message>/dismissal", Dismissal.as_view(), name="api-hl7-dismissal"),
    path("destinations", Destinations.as_view(), name="api-hl7-destinations"),
    path("destinations/<int:number>", OneDestination.as_view(), name="api-hl7-destination"),
    path("destinations/<int:number>/try", DestinationTrial.as_view(), name="api-hl7-destination-try"),
    path("deliveries", Deliveries.as_view(), name="api-hl7-deliveries"),
    path("deliveries/<int:number>", OneDelivery.as_view(), name="api-hl7-delivery"),
    path("deliveries/<int:number>/retry", Retry.as_view(), name="api-hl7-delivery-retry"),
    path("deliveries/<int:number>/give-up", GivingUp.as_view(), name="api-hl7-delivery-give-up"),
]
