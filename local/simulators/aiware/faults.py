"""What can go wrong at the simulated Engine Toolkit and at the media server."""

from __future__ import annotations

from local.simulators.faults import Fault

HEARTBEAT, RESULT, PROCESS, MEDIA = "heartbeat", "result", "process", "media"
"""The kinds of request."""

WEBHOOK_FAULTS = {
    **{status: f"refused with {status}" for status in ("400", "404", "410", "413", "500", "503")},
    "429": "refused with 429 and Retry-After",
    "redirect": "refused with 301 to an address of the toolkit that no client may call",
    "drops": "refused: the connection closes without an answer",
    "reset": "accepted, then the connection closes without an answer",
    "slow": "accepted and never answered",
    "drip": "accepted; the answer comes byte by byte and does not end",
    "huge": "accepted; the answer announces 8 GiB and ends after 1 MiB",
}
"""What becomes of a message. The fault's name starts with the webhook: heartbeat_400, result_400, and so on."""

TOOLKIT_FAULTS = {
    **{
        f"{webhook}_{name}": Fault(f"{webhook}s are {description}", (webhook,))
        for webhook in (HEARTBEAT, RESULT)
        for name, description in WEBHOOK_FAULTS.items()
    },
    "gone": Fault("a message is refused, and from then on every connection", (HEARTBEAT, RESULT)),
    "answer_lost": Fault("the engine's answer is complete and does not reach the toolkit", (PROCESS,)),
    "overlapping": Fault("the toolkit makes all three calls of process at once", (PROCESS,)),
}

MEDIA_FAULTS = {
    **{
        f"status_{status}": Fault(f"{status} instead of the file", (MEDIA,))
        for status in (401, 403, 404, 429, 500, 503)
    },
    "drops": Fault("the connection closes without an answer", (MEDIA,)),
    "slow": Fault("never answered", (MEDIA,)),
    "drip": Fault("the file comes byte by byte", (MEDIA,)),
    "truncated": Fault("half of the file, then the connection closes", (MEDIA,)),
    "oversized": Fault("the answer announces 8 GiB and sends the file", (MEDIA,)),
    "empty": Fault("200 and no bytes", (MEDIA,)),
    "html": Fault("a login page with status 200", (MEDIA,)),
    "redirect": Fault("302 to the same file on another origin", (MEDIA,)),
    "redirect_to_metadata": Fault("302 to the address where a machine gets its credentials", (MEDIA,)),
}
