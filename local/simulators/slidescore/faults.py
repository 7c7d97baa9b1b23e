"""What can go wrong at the simulated Slide Score server, by name."""

from __future__ import annotations

from collections.abc import Iterable

FAULTS = (
    "slow",  # every request is carried out and never answered
    "slow_pixels",  # the same for screenshots and tiles only
    "http_500",  # every request
    "http_503_once",  # the first GET of each endpoint
    "rejects_token",  # 401 for every request
    "redirects",  # 302 to the other origin for every request
    "redirects_pixels",  # 302 to the other origin for screenshots and tiles only
    "html_instead_of_jpeg",  # a login page with status 200
    "truncated_jpeg",  # the first half of the file
    "png_instead_of_jpeg",
    "small_pictures",  # no screenshot or tile has a side over 100 px, whatever was asked for
    "oversized_picture",  # announces 8 GiB
    "not_json",  # metadata: a login page with status 200
    "success_false",  # metadata: {"success": false, "error": ...}
    "create_refused",  # CreateOrphanAnno2 and CreateAnno2: {"success": false, "error": ...}
    "no_location",  # TUS creation without Location
    "foreign_location",  # TUS Location on the other origin
    "absolute_location",  # TUS Location on this origin, spelled out (harmless)
    "upload_breaks",  # the first PATCH of an upload: half of it is kept, then the connection drops
    "upload_conflict",  # the first PATCH of an upload: kept, and answered 409
    "upload_never_works",  # every PATCH: nothing is kept, the connection drops
    "finish_refused",  # FinishUpload: a bare JSON string that is not "OK"
    "give_up_fails",  # GiveUpToken: 500
)


class Faults(set[str]):
    """The faults in force. An unknown name raises ValueError, so that a misspelt fault cannot make a test pass."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__()
        self.update(names)

    def add(self, name: str, /) -> None:
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        super().add(name)

    def update(self, *names: Iterable[str]) -> None:
        for several in names:
            for name in several:
                self.add(name)
