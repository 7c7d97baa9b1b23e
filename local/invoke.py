"""`make invoke`: runs one event by `sam local invoke`, in a container, with the local stack's AWS and platforms."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

from local import stack, template
from local.simulators.aiware import events, samples

_ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
BUILT = template.ROOT / ".aws-sam" / "invoke"
PARAMETERS = {"AiwareDelivery": "relay"}
"""Of template.yaml. No toolkit listens at the webhooks in a sample event."""
JOB_TIMEOUT_S = 60


def main() -> int:
    """Returns the exit status of SAM, or 1 if the function failed.

    A job of aiWARE runs in the local stack, whose functions are in this process.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", help="its name in template.yaml")
    parser.add_argument("event", type=Path, help="a file of events/")
    arguments = parser.parse_args()
    function = arguments.function
    bind, container_host = _host()
    with stack.running(bind, parameters=PARAMETERS) as running:
        running.slidescore.origin = running.slidescore.origin.replace(bind, container_host)
        running.kili.storage = running.kili.storage.replace(bind, container_host)
        running.media.origin = running.media.origin.replace(bind, container_host)
        variables = {
            "AWS_ENDPOINT_URL": running.aws.replace(bind, container_host),
            "SLIDESCORE_ORIGINS": running.slidescore.origin,
            "STAGING_BUCKET": stack.BUCKET,
            "KILI_ENDPOINT": running.kili.endpoint.replace(bind, container_host),
            "KILI_STORAGE_ORIGINS": running.kili.storage,
            "KILI_TABLE": stack.RESOURCES["IdempotencyTable"],
            "AIWARE_TABLE": stack.RESOURCES["JobsTable"],
            "AIWARE_STATE_MACHINE": stack.RESOURCES["AiwareEngine"],
            "AIWARE_DELIVERY": PARAMETERS["AiwareDelivery"],
            "AIWARE_MEDIA_ORIGINS": running.media.origin,
        }
        local_template = _with_environment(function, variables)
        event = filled(json.loads(arguments.event.read_text()), running)
        command = [
            os.environ.get("SAM", "sam"),
            "local",
            "invoke",
            arguments.function,
            "--template",
            str(local_template),
        ]
        command += ["--event", "-", "--region", running.environment["AWS_REGION"], "--skip-pull-image"]
        command += ["--parameter-overrides", f"Architecture={_ARCHITECTURE}"]
        result = subprocess.run(command, input=json.dumps(event), stdout=subprocess.PIPE, text=True, check=False)
        print(result.stdout)
        if job := re.search(r'"x-annohooks-job": *"([^"]+)"', result.stdout, re.IGNORECASE):
            print(f"job {job[1]}: {final_status(job[1])}", file=sys.stderr)
        for violation in running.slidescore.violations + running.kili.violations:
            print(f"protocol violation: {violation}", file=sys.stderr)
        return result.returncode or int(has_failed(event, result.stdout))


def _host() -> tuple[str, str]:
    """The address to listen on so that a container can reach it, and its name in the container."""
    bridge = "{{with index .IPAM.Config 0}}{{or .Gateway .Subnet}}{{end}}"
    inspected = subprocess.run(
        ["docker", "network", "inspect", "bridge", "--format", bridge], stdout=subprocess.PIPE, text=True, check=False
    )
    if inspected.returncode:
        sys.exit("No Docker engine is running. `make demo` runs the same events without Docker.")
    if sys.platform != "linux":  # Docker Desktop
        return "127.0.0.1", "host.docker.internal"
    address, is_subnet, _ = inspected.stdout.strip().partition("/")
    gateway = str(ipaddress.ip_address(address) + 1) if is_subnet else address
    return gateway, gateway


def _with_environment(function: str, environment: dict[str, str]) -> Path:
    """Adds variables to one function of the built template: SAM passes only those that the template names."""
    built = template.load(BUILT / "template.yaml")
    built["Resources"][function]["Properties"]["Environment"]["Variables"] |= environment
    path = BUILT / "local.json"
    path.write_text(json.dumps(built))
    return path


def filled(event: dict[str, Any], running: stack.Stack) -> dict[str, Any]:
    """The event with the addresses of the simulated platforms, and a valid token of Slide Score."""
    if event.get("path") == "/slidescore" and event["body"] is not None:
        replaced = {"host": running.slidescore.origin, "apitoken": running.slidescore.token()}
        body = {key: replaced.get(key, value) for key, value in json.loads(event["body"]).items()}
        return {**event, "body": json.dumps(body)}
    if event.get("path") == "/aiware/process" and events.MEDIA.encode() in events.form(event):
        samples.fill(running.media)
        return events.addressed(event, media=running.media.origin)
    return event


def final_status(job: str) -> str:
    """The status of a job's execution once it no longer runs, or after a minute."""
    machine = stack.RESOURCES["AiwareEngine"].replace(":stateMachine:", ":execution:")
    client, until = boto3.client("stepfunctions"), time.monotonic() + JOB_TIMEOUT_S
    while True:
        status: str = client.describe_execution(executionArn=f"{machine}:{job}")["status"]
        if status != "RUNNING" or time.monotonic() > until:
            return status
        time.sleep(0.1)


def has_failed(event: dict[str, Any], answer: str) -> bool:
    """Whether the event's caller could not use the answer of the function. answer: as SAM prints it.

    API Gateway needs a status. The state machine and EventBridge accept anything but an error.
    """
    if "httpMethod" in event:
        return '"statusCode"' not in answer
    return not answer.strip() or '"errorType"' in answer


if __name__ == "__main__":
    sys.exit(main())
