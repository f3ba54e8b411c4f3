"""Settings of the web interface."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WebSettings(BaseModel):
    """Where the studio answers, and what it lets others do."""

    model_config = ConfigDict(frozen=True)

    host: str = Field(
        default="127.0.0.1",
        title="Host",
        description="The address to answer at. Any but this machine's own needs users who log in.",
    )
    port: int = Field(default=7860, ge=0, le=65535, title="Port", description="0 takes any that is free.")
    threads: int = Field(
        default=8, ge=2, le=256, title="Threads", description="Requests answered side by side."
    )
    upload_megabytes: int = Field(
        default=64, ge=1, le=4096, title="Upload limit", description="Megabytes that one request may bring."
    )
    upload_days: int = Field(
        default=30, ge=0, le=3650, title="Keep uploads", description="Days since last use; 0 is for ever."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        title="Foreign origins",
        description="Web pages of these origins, such as https://example.org, may use the APIs.",
    )
    trusted_hosts: tuple[str, ...] = Field(
        default=(),
        title="Host names",
        description="Names by which the studio is reached, beside those of this machine.",
    )
    trusted_proxy: str = Field(
        default="",
        title="Reverse proxy",
        description="The address of a reverse proxy, such as 127.0.0.1, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed.",
    )
    fetch_urls: bool = Field(
        default=False,
        title="Fetch pictures by address",
        description="Let API clients name pictures by http addresses, which the studio then fetches.",
    )
    fetch_local: bool = Field(
        default=False,
        title="Fetch from the local network",
        description="Let these addresses also be on this machine or its network.",
    )
    locale: str = Field(default="", title="Language", description="Such as 'de'; empty follows the browser.")
