"""A Lambda handler called with an API Gateway event, the same way on either side. Imports stand inside, see side.py."""

from collections.abc import Callable
from typing import Any

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
"""What Lambda says of the trace that an invocation belongs to: without it the X-Ray SDK has nothing to add to."""


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def answered(handler: Callable[[dict, Context], dict], file: str) -> Any:
    """The JSON that a handler answers to the event in a file. Raises ValueError for any status but 200."""
    import asyncio
    import json
    from pathlib import Path

    asyncio.set_event_loop(asyncio.new_event_loop())  # a Lambda instance's thread has one, and Mangum wants it
    answer = handler(json.loads(Path(file).read_text()), Context())
    if answer["statusCode"] != 200:
        raise ValueError(f"the webhook answered {answer['statusCode']}: {answer['body']}")
    return json.loads(answer["body"])
