"""What a deployment chooses for Kili."""

from __future__ import annotations

from typing import Annotated

import msgspec

from annohooks.core.origins import Origin, Origins, split_url


class Endpoint(msgspec.Struct, frozen=True):
    """Where Kili's GraphQL API is: one origin, which is allowed because it is configured, and a path."""

    origin: Origin
    path: str

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Raises ValueError when the text is no URL with a path."""
        parsed = split_url(text)
        if parsed is None or not parsed[1].startswith("/") or "?" in parsed[1] or "#" in parsed[1]:
            raise ValueError("not a URL such as https://cloud.kili-technology.com/api/label/v2/graphql")
        return cls(parsed[0]._replace(explicit=True), parsed[1])


class Projects(msgspec.Struct, frozen=True):
    """Ids of the projects that this deployment serves. No ids: all projects."""

    ids: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Projects:
        """Ids separated by commas or white space."""
        return cls(tuple(dict.fromkeys(text.replace(",", " ").split())))

    def serve(self, project_id: str) -> bool:
        """Whether this deployment serves a project."""
        return not self.ids or project_id in self.ids


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each is read from the environment variable of the same name in capitals. template.yaml describes most of them.

    Not in the template are: kili_read_timeout_s, the most seconds between two bytes of an answer; kili_max_label_bytes;
    kili_max_issues of a label; max_body_bytes of a request; api_timeout_s, how long API Gateway waits.
    """

    kili_endpoint: Endpoint
    kili_storage_origins: Origins
    kili_api_key_parameter: str
    kili_secret_parameter: str
    kili_table: str
    kili_projects: Projects = Projects()
    kili_rules: str = "rules.yaml"
    kili_rules_max_age_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 300
    kili_plugin: str = ""
    kili_dry_run: bool = False
    kili_read_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 15.0
    kili_max_label_bytes: Annotated[int, msgspec.Meta(ge=10_000, le=100_000_000)] = 15_000_000
    kili_max_issues: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    kili_reconcile_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 60
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=6_000_000)] = 6_000_000
    api_timeout_s: Annotated[float, msgspec.Meta(ge=5, le=300)] = 29.0
