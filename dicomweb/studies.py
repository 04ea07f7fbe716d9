"""The two resources that take two transactions: which right and which event count depends on the method."""

from typing import Any

from rest_framework.request import Request

from dicomweb.qido import SearchStudies
from dicomweb.stow import StoreView
from dicomweb.view import DicomwebView
from dicomweb.wado import RetrieveInstances


class _ByMethod(DicomwebView):
    """A resource whose POST is the Store transaction and whose other methods are another one's."""

    reads: type[DicomwebView]
    permission = StoreView.permission
    event = StoreView.event

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Ask for the right of the transaction that the method names."""
        transaction = StoreView if request.method == "POST" else self.reads
        self.permission, self.event = transaction.permission, transaction.event  # type: ignore[misc]
        super().initial(request, *args, **kwargs)


class Studies(_ByMethod, SearchStudies, StoreView):
    """``/studies``: search by GET, store by POST."""

    reads = SearchStudies


class Study(_ByMethod, RetrieveInstances, StoreView):
    """``/studies/{study}``: retrieve by GET, store by POST."""

    reads = RetrieveInstances
