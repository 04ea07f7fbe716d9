"""``POST /workitems/{workitem}/release``: a claim that has lapsed is taken away. PS3.18 has no such request.

A workitem whose performer has gone would stay IN PROGRESS for ever: nobody else has its Transaction UID.
"""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema

from access.authentication import principal_of
from access.roles import Permission
from dicomweb.workitem_view import WorkItemView
from workitems.leases import release


class ReleaseWorkItem(WorkItemView):
    """For whoever manages workitems."""

    permission = Permission.WORKITEMS_MANAGE

    @extend_schema(
        operation_id="workitem_release",
        summary="Take a workitem away from a performer whose claim has lapsed",
        request=None,
        responses={
            204: OpenApiResponse(description="The workitem is SCHEDULED again"),
            404: OpenApiResponse(description="There is no such workitem"),
            409: OpenApiResponse(description="The claim is good, or there is none"),
        },
    )
    def post(self, request: HttpRequest, workitem: str) -> HttpResponse:
        """204; its subscribers are told."""
        with transaction.atomic():
            item = release(self.reach(request), workitem, principal_of(request).id)
            self.note(request, item, "U", "released")
        return HttpResponse(status=204)
