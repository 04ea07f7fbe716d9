"""DELETE on the resources of the Retrieve transaction: 204, again 204 while the deletion is remembered, then 404."""

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema

from access.authentication import principal_of
from access.restrictions import remember_deleted
from access.roles import Permission
from archive.delete import Deleted, delete
from archive.locate import Address
from audit import kinds
from dicomweb.view import DicomwebView


class DeleteView(DicomwebView):
    """``DELETE /studies/{study}`` and below, of a study, a series or an instance."""

    permission = Permission.DELETE
    event = kinds.DELETE

    @extend_schema(summary="Delete a study, a series or an instance", request=None, responses={204: None})
    def delete(
        self, request: HttpRequest, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponse:
        """Hide what is at the address at once; its objects are removed after the grace period."""

        def write_down(deleted: Deleted) -> None:
            # A study is gone with its last instance (PS3.15 A.5.3.8); anything less is an access that deletes.
            if deleted.study_gone and deleted.patient is not None:
                remember_deleted(study, deleted.patient)
            self.event = kinds.DELETE if deleted.study_gone else kinds.DELETE_INSTANCES  # type: ignore[misc]
            self.record_read(
                request, deleted.address, instance_count=deleted.instances, bytes=deleted.bytes, query="delete"
            )

        address = Address(study, series, instance)
        delete(self.scope(request), address, deleted_by=principal_of(request).id, record=write_down)
        return HttpResponse(status=204)
