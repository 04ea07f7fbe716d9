"""Settings of orders and the worklist (``worklist``)."""

from pydantic import BaseModel, Field


class WorklistConfig(BaseModel):
    """When an order is taken for done."""

    quiet_seconds: float = Field(
        default=60, ge=0, le=86400, description="without a new image, after which a study is complete, and its order"
    )
