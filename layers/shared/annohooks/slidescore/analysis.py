"""The analysis that a user triggers, from the request to its results."""

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
from annohooks.slidescore.request import Trigger
from annohooks.slidescore.results import Result
from annohooks.slidescore.settings import Settings
from annohooks.slidescore.upload import upload

_RESERVED_S = api.GIVE_UP_S + 1.0
_DELETION_S = 10.0  # S3 may take so long to delete when it does not answer


def run(fields: Mapping[str, Any], settings: Settings, staging: Staging, deadline: Deadline) -> list[Result]:
    """Reads the slide, analyses the regions that the user drew, and returns the results for the viewer.

    fields: of the request body. The work ends four seconds before the deadline, which leaves time to give up the token
    in every case. Raises Forbidden, before anything is sent, when the server is not allowed; BadRequest in words for
    the user who pressed Send; Upstream, Unavailable, DeadlineExceeded.
    """
    sender = request.sender(fields)
    working = deadline.earlier(_RESERVED_S)
    outbound = Outbound(
        settings.slidescore_origins.match(sender.host),
        working,
        platform=api.PLATFORM,
        read_timeout_s=settings.slidescore_read_timeout_s,
        connections=api.CONNECTIONS,
    )
    with outbound, Client(outbound, sender.token, give_up_token=settings.slidescore_give_up_token) as client:
        return _results(request.trigger(fields), client, settings, staging, working)


def _results(
    trigger: Trigger, client: Client, settings: Settings, staging: Staging, deadline: Deadline
) -> list[Result]:
    analyzer = parameters.analyzer_for(trigger, settings.slidescore_analyzer)
    values = parameters.parameters_for(trigger, analyzer)
    shows = parameters.shown_for(trigger, analyzer)
    logger.thread_safe_append_keys(analyzer=analyzer.name, image_id=trigger.image_id)
    slide = _slide(trigger, client, settings)
    drawn = regions.regions(trigger.answer(regions.QUESTION), slide.width, slide.height)
    limits = answer_limits.AnswerLimits(settings.slidescore_max_outlines)
    region_limits = segmentation.Limits(
        settings.slidescore_picture_px, settings.slidescore_max_region_px, limits.outlines, limits.vertices
    )
    segmented = (segmentation.segment(slide, region, analyzer, values, deadline, region_limits) for region in drawn)
    with subsegment("analyse"):
        findings = answer_limits.largest(segmented, limits)
    analysed = [region for region in findings if region.region_um2]
    if not analysed:
        raise BadRequest(regions.NO_AREA)
    logger.thread_safe_append_keys(
        regions=len(analysed),
        objects=sum(int(region.object_counts.sum()) for region in analysed),
    )
    notes = [parameters.described(analyzer, values)]
    if len(analysed) < len(findings):
        too_narrow = len(findings) - len(analysed)
        notes.append(f"Left out, because too narrow: {too_narrow} of {len(findings)} regions.")
    deadline.check("writing the answer")
    with subsegment("answer"):
        return results.results(
            slide,
            analyzer,
            values,
            analysed,
            shows,
            settings.slidescore_max_inline_bytes,
            lambda anno2: _uploaded(anno2, client, staging, deadline),
            [note for note in notes if note],
        )


def _slide(trigger: Trigger, client: Client, settings: Settings) -> Screenshots | RawTiles:
    metadata = client.metadata(trigger.image_id)
    picture_px = settings.slidescore_picture_px
    if settings.slidescore_pixels == "screenshots":
        return Screenshots(client, trigger.image_id, metadata, picture_px)
    if trigger.study_id is None:
        raise BadRequest("The request body cannot be used: the key `studyid` is missing.")
    return RawTiles(client, trigger.image_id, metadata, trigger.study_id, picture_px)


def _uploaded(anno2: bytes, client: Client, staging: Staging, deadline: Deadline) -> str:
    """Stages an anno2 zip, uploads it from there, and returns the id that the viewer needs."""
    staged = staging.put(f"slidescore/{uuid4()}.zip", anno2)
    try:
        slot = client.create_orphan_anno2()
        upload_id = upload(client.outbound, staging, staged, client.upload_metadata(slot.upload_token))
        client.finish_upload(upload_id, slot.upload_token)
        return slot.uuid
    finally:
        if deadline.remaining_s() > _DELETION_S:  # otherwise the bucket's lifecycle deletes it
            with suppress(Unavailable):
                staging.delete(staged)
