"""Settings of retention, quotas and of what is cleared away by age (``custody.retention``)."""

from pydantic import BaseModel, Field


class RetentionConfig(BaseModel):
    """How a confirmed plan is carried out."""

    confirm_days: float = Field(default=7, gt=0, le=90, description="in which a plan may be confirmed")
    batch_studies: int = Field(default=20, ge=1, le=1000, description="studies that go in one turn")
    pause_seconds: float = Field(default=5, ge=0, le=3600, description="between two turns")


class QuotaConfig(BaseModel):
    """How much of the archive one site, or one client, may take; what is not named is not limited."""

    sites: dict[str, int] = Field(default={}, description="Institution Name -> bytes that are kept of its studies")
    clients: dict[str, int] = Field(default={}, description="id of a client -> bytes that it stores in 30 days")


class KeepConfig(BaseModel):
    """For how many days rows are kept that nobody needs for ever; 0: for ever."""

    change_feed_days: int = Field(default=0, ge=0, description="entries of the change feed; older ones are 410")
    hl7_days: int = Field(default=0, ge=0, description="HL7 messages that were applied, or delivered")
    state_event_days: int = Field(default=0, ge=0, description="what orders and steps went through")
    outbox_dead_days: int = Field(default=0, ge=0, description="tasks that nobody tries again")
