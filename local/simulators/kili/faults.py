"""What can go wrong at the simulated Kili.

A request is of the kind of its root field, such as createIssues, or "storage" for the bucket, or "version". An event
that is posted to webhooks is of the kind "event".
"""

from __future__ import annotations

from local.simulators.faults import Fault

FAULTS = {
    "slow": Fault("every request is carried out and never answered"),
    "drops": Fault("every request is carried out, then the connection closes without an answer"),
    "unknown_outcome": Fault("every mutation is carried out and answered with 502"),
    "truncated_json": Fault("every request is carried out; its answer is cut in half, the bucket's too"),
    "http_500": Fault("500 for every request, nothing is carried out"),
    "http_502": Fault("502 for every request, nothing is carried out"),
    "http_429": Fault("429 with Retry-After for two requests, nothing is carried out", times=2),
    "refused_503": Fault("503 of a proxy without a server for every request, nothing is carried out"),
    "rejects_key": Fault("401 for every request"),
    "refuses": Fault("a GraphQL error for every operation, nothing is carried out"),
    "no_new_mutation": Fault("sendAssetsBackToQueue does not exist, as in releases before 26.2.1"),
    "label_lags": Fault("the first query for a label by its id returns nothing"),
    "json_inline": Fault("labels have a jsonResponse and no jsonResponseUrl"),
    "send_back_fails": Fault("sendAssetsBackToQueue reports every asset as failed"),
    "storage_fails": Fault("500 from the bucket", strikes=("storage",)),
    "duplicate_delivery": Fault("every event is posted three times at once", strikes=("event",)),
}
