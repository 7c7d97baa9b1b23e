"""Calls a Lambda handler with an API Gateway event, in the same way on both sides. side.py may time the imports."""

from collections.abc import Callable
from typing import Any

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
"""The trace of an invocation, as Lambda gives it. Without it, the X-Ray SDK cannot add a segment."""


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def webhook_answer(handler: Callable[[dict, Context], dict], file: str) -> Any:
    """The JSON of a handler's answer to the event in a file. Raises ValueError if the status is not 200."""
    import asyncio
    import json
    from pathlib import Path

    asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum needs one, and Lambda's runtime provides it
    answer = handler(json.loads(Path(file).read_text()), Context())
    if answer["statusCode"] != 200:
        raise ValueError(f"the webhook answered {answer['statusCode']}: {answer['body']}")
    return json.loads(answer["body"])
