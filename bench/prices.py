"""Prices of AWS in US dollars: list prices of eu-west-1, arm64, without free tiers and taxes.

Source: AWS's pricing pages of Lambda, Step Functions, DynamoDB, S3 and API Gateway, at the end of 2025. The prices of
Step Functions, and those of Lambda and DynamoDB in us-east-1, were looked up. The others are from memory, such as those
of DynamoDB in eu-west-1 (13 % above us-east-1). Not included: logs, traces, storage for a day, and data that leave AWS.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

LAMBDA_GB_S = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_DISK_GB_S = 0.0000000309  # of ephemeral storage above 512 MB
STEP_FUNCTIONS_TRANSITION = 0.025 / 1e3
DYNAMODB_WRITE_UNIT = 0.705 / 1e6  # 1 KB of one item; a transaction needs two
DYNAMODB_READ_UNIT = 0.1415 / 1e6  # 4 KB, consistent read
S3_WRITE = 0.005 / 1e3
S3_READ = 0.0004 / 1e3
API_REQUEST = 3.50 / 1e6

PROCESSOR_MB = 1769
"""The memory size that includes one whole processor; less memory includes a proportional part of one."""


class Usage(NamedTuple):
    """The billed usage of one function. gb_s: of memory. disk_gb_s: of ephemeral storage above 512 MB."""

    invocations: int
    seconds: float
    gb_s: float
    disk_gb_s: float


class Requests(NamedTuple):
    """Billed requests. writes, reads: DynamoDB's units. api: requests through API Gateway."""

    writes: int
    reads: int
    s3_writes: int
    s3_reads: int
    api: int


def billed_s(seconds: float, cpu_s: float, memory_mb: int) -> float:
    """The billed duration of an invocation with its function's share of a processor, rounded up to a millisecond.

    seconds: wall-clock time measured here. cpu_s: processor time of all threads, measured here. Waiting takes as long
    as here. Computing takes its processor time divided by the share, because all threads share it.
    """
    share = min(1.0, memory_mb / PROCESSOR_MB)
    return math.ceil(round((max(seconds - cpu_s, 0.0) + cpu_s / share) * 1000, 6)) / 1000


def cost(usages: Collection[Usage], transitions: int, requests: Requests) -> dict[str, float]:
    """The cost by service."""
    return {
        "Lambda": sum(
            usage.gb_s * LAMBDA_GB_S + usage.disk_gb_s * LAMBDA_DISK_GB_S + usage.invocations * LAMBDA_REQUEST
            for usage in usages
        ),
        "Step Functions": transitions * STEP_FUNCTIONS_TRANSITION,
        "DynamoDB": requests.writes * DYNAMODB_WRITE_UNIT + requests.reads * DYNAMODB_READ_UNIT,
        "S3": requests.s3_writes * S3_WRITE + requests.s3_reads * S3_READ,
        "API Gateway": requests.api * API_REQUEST,
    }
