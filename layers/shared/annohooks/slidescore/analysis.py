"""One trigger, from the request to its results."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, Unavailable
from annohooks.core.http import Outbound
from annohooks.core.observability import logger, subsegment
from annohooks.core.staging import Staging
from annohooks.imaging import segmentation
from annohooks.slidescore import answer_limits, parameters, regions, request, results
from annohooks.slidescore import client as api
from annohooks.slidescore.client import Client
from annohooks.slidescore.pixels import RawTiles, Screenshots
from annohooks.slidescore.request import Webhook
from annohooks.slidescore.results import Result
from annohooks.slidescore.settings import Settings
from annohooks.slidescore.upload import upload

_KEPT_BACK_S = api.GIVE_UP_S + 1.0
_CLEARING_S = 10.0  # what S3 may take to delete, when it does not answer


def run(fields: Mapping[str, Any], settings: Settings, staging: Staging, deadline: Deadline) -> list[Result]:
    """Reads the slide, analyses what the user drew, and returns what the viewer is to show. fields: the request body's.

    Work ends five seconds before the deadline, and the token is given up whatever happens, so both fit.
    Raises Forbidden before anything is sent when the server is not allowed; BadRequest in words for the person who
    pressed Send; Upstream, Unavailable, DeadlineExceeded.
    """
    sender = request.sender(fields)
    working = deadline.earlier(_KEPT_BACK_S)
    outbound = Outbound(
        settings.slidescore_origins.match(sender.host),
        working,
        platform=api.PLATFORM,
        read_timeout_s=settings.slidescore_read_timeout_s,
        connections=api.CONNECTIONS,
    )
    with outbound, Client(outbound, sender.token, give_up_token=settings.slidescore_give_up_token) as client:
        return _results(request.parse(fields), client, settings, staging, working)


def _results(
    webhook: Webhook, client: Client, settings: Settings, staging: Staging, deadline: Deadline
) -> list[Result]:
    analyzer = parameters.analyzer_for(webhook, settings.slidescore_analyzer)
    chosen = parameters.parameters_for(webhook, analyzer)
    shows = parameters.shown_for(webhook, analyzer)
    logger.thread_safe_append_keys(analyzer=analyzer.name, image_id=webhook.image_id)
    slide = _slide(webhook, client, settings)
    drawn = regions.regions(webhook.answer(regions.QUESTION), slide.width, slide.height)
    most = answer_limits.Most(settings.slidescore_max_outlines)
    limits = segmentation.Limits(
        settings.slidescore_picture_px, settings.slidescore_max_region_px, most.outlines, most.vertices
    )
    made = (segmentation.segment(slide, region, analyzer, chosen, deadline, limits) for region in drawn)
    with subsegment("analyse"):
        found = answer_limits.largest(made, most)  # never more in memory than can be shown, and one region's
    seen = [findings for findings in found if findings.region_um2]
    if not seen:
        raise BadRequest(regions.NO_AREA)
    logger.thread_safe_append_keys(
        regions=len(seen),
        objects=sum(int(findings.object_counts.sum()) for findings in seen),
    )
    notes = [parameters.described(analyzer, chosen)]
    if len(seen) < len(found):
        notes.append(f"Left out as too narrow: {len(found) - len(seen)} of {len(found)} regions.")
    deadline.check("drawing up the answer")
    with subsegment("answer"):
        return results.results(
            slide,
            analyzer,
            chosen,
            seen,
            shows,
            settings.slidescore_max_inline_bytes,
            lambda anno2: _uploaded(anno2, client, staging, deadline),
            [note for note in notes if note],
        )


def _slide(webhook: Webhook, client: Client, settings: Settings) -> Screenshots | RawTiles:
    metadata = client.metadata(webhook.image_id)
    picture_px = settings.slidescore_picture_px
    if settings.slidescore_pixels == "screenshots":
        return Screenshots(client, webhook.image_id, metadata, picture_px)
    if webhook.study_id is None:
        raise BadRequest("The request body cannot be used: the key `studyid` is missing.")
    return RawTiles(client, webhook.image_id, metadata, webhook.study_id, picture_px)


def _uploaded(anno2: bytes, client: Client, staging: Staging, deadline: Deadline) -> str:
    """Stages an anno2 zip, uploads it from there, and returns the id the viewer finds it by."""
    staged = staging.put(f"slidescore/{uuid4()}.zip", anno2)
    try:
        slot = client.create_orphan_anno2()
        upload_id = upload(client.outbound, staging, staged, client.upload_metadata(slot.upload_token))
        client.finish_upload(upload_id, slot.upload_token)
        return slot.uuid
    finally:
        if deadline.remaining_s() > _CLEARING_S:  # the bucket's lifecycle clears what is left
            with suppress(Unavailable):
                staging.delete(staged)
