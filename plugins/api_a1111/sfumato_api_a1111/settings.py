"""The settings of A1111's API; nothing heavy is imported here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ApiA1111Settings(BaseModel):
    """What clients of A1111's API may do."""

    model_config = ConfigDict(frozen=True)

    fetch_addresses: bool = Field(
        default=True,
        title="Fetch addresses",
        description="Whether pictures may be given as http and https addresses, which the server fetches.",
        json_schema_extra={"guarded": True},
    )
    fetch_local_addresses: bool = Field(
        default=False,
        title="Fetch local addresses",
        description="Whether these may lie on this machine or in its own network.",
        json_schema_extra={"guarded": True},
    )
    fetch_seconds: float = Field(
        default=30.0, gt=0, le=600, title="Fetch seconds", description="How long fetching one may take."
    )
    largest_megabytes: int = Field(
        default=100, ge=1, le=2000, title="Largest picture", description="Megabytes that a picture may have."
    )
    server_stop: bool = Field(
        default=False,
        title="Server stop",
        description="Whether clients may end the server, as with A1111's --api-server-stop.",
        json_schema_extra={"guarded": True},
    )
