"""The settings of a deployment for Slide Score."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from annohooks.core.errors import SettingsError
from annohooks.core.origins import Origins
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.client import PICTURE_PX


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read from environment variables of the same names in capitals. docs/slidescore.md explains them."""

    slidescore_secret_parameter: str
    staging_bucket: str
    slidescore_origins: Origins = Origins()
    slidescore_pixels: Literal["screenshots", "raw_tiles"] = "screenshots"
    slidescore_give_up_token: bool = True
    slidescore_analyzer: str = "nuclei"
    slidescore_read_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 60.0
    slidescore_picture_px: Annotated[int, msgspec.Meta(ge=512, le=PICTURE_PX)] = PICTURE_PX
    slidescore_max_region_px: Annotated[int, msgspec.Meta(ge=1_000_000, le=400_000_000)] = 64_000_000
    slidescore_max_inline_bytes: Annotated[int, msgspec.Meta(ge=0, le=2_000_000)] = 250_000
    slidescore_max_outlines: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 250_000
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=6_000_000)] = 1_000_000
    api_timeout_s: Annotated[float, msgspec.Meta(ge=5, le=300)] = 29.0

    def __post_init__(self) -> None:
        if self.slidescore_analyzer not in ANALYZERS:
            raise SettingsError(f"SLIDESCORE_ANALYZER must be one of {', '.join(sorted(ANALYZERS))}")
