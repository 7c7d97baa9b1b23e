"""What AWS charges for what was counted, in US dollars: list prices of eu-west-1, arm64, without free tiers and taxes.

Source: AWS's pricing pages of Lambda, Step Functions, DynamoDB, S3 and API Gateway, as known at the end of 2025. Those
of Step Functions, and Lambda's and DynamoDB's of us-east-1, were looked up; the others are from memory, DynamoDB's of
eu-west-1 (13 % above us-east-1) among them. Not counted: logs, traces, storage for a day, and data that leave AWS.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

LAMBDA_GB_S = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_DISK_GB_S = 0.0000000309  # of ephemeral storage above 512 MB
STEP_FUNCTIONS_TRANSITION = 0.025 / 1e3
DYNAMODB_WRITE_UNIT = 0.705 / 1e6  # 1 KB of one item, twice in a transaction
DYNAMODB_READ_UNIT = 0.1415 / 1e6  # 4 KB, read consistently
S3_WRITE = 0.005 / 1e3
S3_READ = 0.0004 / 1e3
API_REQUEST = 3.50 / 1e6

PROCESSOR_MB = 1769
"""The memory that comes with one whole processor; less memory comes with a part of one."""


class Ran(NamedTuple):
    """Invocations of one function. gb_s: of memory; disk_gb_s: of the disk that costs."""

    number: int
    seconds: float
    gb_s: float
    disk_gb_s: float


class Requests(NamedTuple):
    """writes, reads: of DynamoDB, in its units. api: requests through API Gateway."""

    writes: int
    reads: int
    s3_writes: int
    s3_reads: int
    api: int


def billed_s(seconds: float, cpu_s: float, memory_mb: int) -> float:
    """What an invocation takes with a function's share of a processor.

    seconds: by the clock, here. cpu_s: of all processors, here. What it waits for takes as long; what it computes takes
    longer by as much as its share is smaller than a processor, since threads share it, too. To the millisecond, up.
    """
    share = min(1.0, memory_mb / PROCESSOR_MB)
    return math.ceil(round((max(seconds - cpu_s, 0.0) + cpu_s / share) * 1000, 6)) / 1000


def cost(ran: Collection[Ran], transitions: int, requests: Requests) -> dict[str, float]:
    """By service."""
    return {
        "Lambda": sum(
            of.gb_s * LAMBDA_GB_S + of.disk_gb_s * LAMBDA_DISK_GB_S + of.number * LAMBDA_REQUEST for of in ran
        ),
        "Step Functions": transitions * STEP_FUNCTIONS_TRANSITION,
        "DynamoDB": requests.writes * DYNAMODB_WRITE_UNIT + requests.reads * DYNAMODB_READ_UNIT,
        "S3": requests.s3_writes * S3_WRITE + requests.s3_reads * S3_READ,
        "API Gateway": requests.api * API_REQUEST,
    }
