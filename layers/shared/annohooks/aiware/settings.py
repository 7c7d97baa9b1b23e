"""The settings of a deployment for aiWARE."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from annohooks.core.origins import Origins

Delivery = Literal["relay", "direct", "external"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each is read from the environment variable of its name in capitals. template.yaml explains them.

    The settings that only the functions behind the API need are empty in the other functions.
    """

    aiware_table: str
    staging_bucket: str
    aiware_secret_parameter: str = ""
    aiware_state_machine: str = ""
    aiware_delivery: Delivery = "relay"
    aiware_webhook_origins: Origins = Origins()
    aiware_media_origins: Origins = Origins()
    aiware_analyzer: str = "faces"
    aiware_detectors: str = ""
    aiware_multipart_results: Literal["Disabled", "Enabled"] = "Disabled"
    aiware_heartbeat_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 30
    aiware_max_job_s: Annotated[int, msgspec.Meta(ge=10, le=43_200)] = 3600
    aiware_patience_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 300
    aiware_segments_at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    aiware_max_media_mb: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 1000
    aiware_at_once_bytes: Annotated[int, msgspec.Meta(ge=0, le=50_000_000)] = 8_000_000
    aiware_at_once_px: Annotated[int, msgspec.Meta(ge=0, le=64_000_000)] = 8_000_000
    api_timeout_s: Annotated[float, msgspec.Meta(ge=5, le=300)] = 29.0
