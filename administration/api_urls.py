"""Addresses of the JSON resources of the administration, below ``/api/``."""

from django.urls import path

from administration.api_clients import Clients, OneClient, Secret
from administration.api_grants import Grants, OneGrant
from administration.api_people import Password, People, Person, Termination
from administration.api_roles import OneRole, Roles
from administration.review_api import AccessReview, AccessReviewTable

urlpatterns = [
    path("access-review", AccessReview.as_view(), name="api-access-review"),
    path("access-review.csv", AccessReviewTable.as_view(), name="api-access-review-table"),
    path("people", People.as_view(), name="api-people"),
    path("people/<uuid:person>", Person.as_view(), name="api-person"),
    path("people/<uuid:person>/password", Password.as_view(), name="api-person-password"),
    path("people/<uuid:person>/termination", Termination.as_view(), name="api-person-termination"),
    path("clients", Clients.as_view(), name="api-clients"),
    path("clients/<uuid:client>", OneClient.as_view(), name="api-client"),
    path("clients/<uuid:client>/secret", Secret.as_view(), name="api-client-secret"),
    path("grants", Grants.as_view(), name="api-grants"),
    path("grants/<int:grant>", OneGrant.as_view(), name="api-grant"),
    path("roles", Roles.as_view(), name="api-roles"),
    path("roles/<str:role>", OneRole.as_view(), name="api-role"),
]
