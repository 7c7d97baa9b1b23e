import pytest

from annohooks.core import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthorized, 401),
        (errors.Forbidden, 403),
        (errors.TooLarge, 413),
        (errors.Upstream, 502),
        (errors.UpstreamTimeout, 502),
        (errors.Unavailable, 503),
        (errors.DeadlineExceeded, 504),
    ],
)
def test_an_error_has_its_http_status_and_its_message(error, status):
    raised = error("Draw a region first.")
    assert isinstance(raised, errors.AnnohooksError)
    assert (raised.status, raised.message, str(raised)) == (status, "Draw a region first.", "Draw a region first.")


def test_a_status_error_remembers_what_the_platform_answered():
    raised = errors.UpstreamStatus("Slide Score answered with status 401.", 401)
    assert (raised.status, raised.reply_status) == (502, 401)
