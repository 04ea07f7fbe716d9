"""Settings of workitems: claims, ends, and the channel on which their events are told (``workitems``)."""

from pydantic import BaseModel, Field


class WorkItemsConfig(BaseModel):
    """How long claims, finished workitems and events last, and how many channels there may be."""

    lease_minutes: int = Field(default=240, ge=1, description="after which a claim without an update may be taken away")
    keep_days: float = Field(default=30, ge=0, description="in which a finished workitem without a lock is still shown")
    event_days: float = Field(default=7, gt=0, description="in which an event can be sent again")
    channels: int = Field(default=500, ge=1, description="event channels of one web process")
    channels_each: int = Field(default=20, ge=1, description="of them, those of one person or machine")
    ping_seconds: float = Field(default=30, gt=0, description="between two looks at whether a subscriber is there")
    stalled_seconds: float = Field(default=30, gt=0, description="after which one that reads nothing is let go")
