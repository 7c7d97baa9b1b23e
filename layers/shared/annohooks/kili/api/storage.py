"""The content of labels: within Kili's answer, or in a bucket to which a signed URL leads."""

from __future__ import annotations

from typing import Any

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Forbidden, Upstream
from annohooks.core.http import Outbound
from annohooks.core.observability import logger
from annohooks.core.origins import Origin, split_url
from annohooks.kili.api.answers import decoded
from annohooks.kili.api.graphql import PLATFORM
from annohooks.kili.settings import Settings

_ATTEMPTS = 3


class NotStored(Upstream):
    """Kili's storage has no content for the label yet, not even {}."""


class Storage:
    """Reads the content of labels before one deadline; close it when done. It never sends the API key."""

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline
        self._servers: dict[Origin, Outbound] = {}

    def close(self) -> None:
        """Closes every connection."""
        for server in self._servers.values():
            server.close()

    def json_response(self, text: Any, url: str | None, doing: str) -> Any:
        """A label's jsonResponse, decoded. The URL counts more than the text, which may already be decoded.

        Raises Forbidden for a server that is not allowed, NotStored, and Upstream for everything else.
        """
        if url and url.lower().startswith(("https://", "http://")):
            content = self._content(url, doing)
        elif url and not isinstance(text, str):
            raise Upstream(f"{PLATFORM} keeps the label at an address of an unknown kind.")
        elif isinstance(text, str):
            content = text.encode(errors="surrogatepass")
        else:
            return {} if text is None else text
        if len(content) > self._settings.kili_max_label_bytes:
            raise Upstream(f"{PLATFORM} sent more than {self._settings.kili_max_label_bytes} bytes while {doing}.")
        return decoded(content, doing) if content else {}

    def _content(self, url: str, doing: str) -> bytes:
        server = self._server(url)
        content = server.request(
            "GET",
            server.locate(url),
            doing=doing,
            max_bytes=self._settings.kili_max_label_bytes,
            attempts=_ATTEMPTS,
        ).body
        if not content:
            raise NotStored(f"{PLATFORM}'s storage has no content for the label yet.")
        return content

    def _server(self, url: str) -> Outbound:
        """The server of a URL: Kili's own, or one that the settings allow."""
        parsed = split_url(url)
        own = self._settings.kili_endpoint.origin
        try:
            is_own = parsed is not None and parsed[0] == own._replace(explicit=False)
            origin = own if is_own else self._settings.kili_storage_origins.match(url)
        except Forbidden:
            shown = str(parsed[0]) if parsed else "not an origin"
            logger.error("KILI_STORAGE_ORIGINS does not allow the server of the labels", extra={"origin": shown})
            raise Forbidden(f"{PLATFORM} keeps the label on a server that this deployment does not allow.") from None
        if origin not in self._servers:
            self._servers[origin] = Outbound(
                origin,
                self._deadline,
                platform=f"{PLATFORM}'s storage",
                read_timeout_s=self._settings.kili_read_timeout_s,
            )
        return self._servers[origin]
