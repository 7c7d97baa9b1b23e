"""What can go wrong at the simulated Slide Score server."""

from __future__ import annotations

from local.simulators.faults import Fault

FAULTS = {
    "slow": Fault("every request is carried out and never answered"),
    "slow_pixels": Fault("screenshots and tiles are never answered"),
    "http_500": Fault("500 for every request"),
    "http_503_once": Fault("503 for the first GET of each endpoint"),
    "rejects_token": Fault("401 for every request"),
    "redirects": Fault("302 to another origin for every request"),
    "redirects_pixels": Fault("302 to another origin for screenshots and tiles"),
    "html_instead_of_jpeg": Fault("a login page with status 200 instead of a picture"),
    "truncated_jpeg": Fault("the first half of each picture"),
    "png_instead_of_jpeg": Fault("each picture is a PNG"),
    "small_pictures": Fault("no picture has a side over 100 px, whatever was asked for"),
    "oversized_picture": Fault("each picture announces 8 GiB"),
    "not_json": Fault("GetImageMetadata: a login page with status 200"),
    "success_false": Fault('GetImageMetadata: {"success": false, "error": ...}'),
    "create_refused": Fault('CreateOrphanAnno2 and CreateAnno2: {"success": false, "error": ...}'),
    "no_location": Fault("an upload is created without a Location header"),
    "foreign_location": Fault("the Location of an upload is on another origin"),
    "absolute_location": Fault("the Location of an upload is an absolute URL on this origin (harmless)"),
    "upload_breaks": Fault("the first PATCH of an upload stores half of its body, then the connection drops"),
    "upload_conflict": Fault("the first PATCH of an upload is stored and answered with 409"),
    "upload_never_works": Fault("no PATCH stores anything, the connection drops"),
    "finish_refused": Fault('FinishUpload: a JSON string that is not "OK"'),
    "give_up_fails": Fault("GiveUpToken: 500"),
}
