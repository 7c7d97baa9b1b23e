"""`make serve`: runs the local stack on the ports in the sample events, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from pathlib import Path

from local import stack
from local.simulators.aiware import samples

API_PORT, AWS_PORT, SLIDESCORE_PORT, KILI_PORT, MEDIA_PORT = 8300, 8301, 8302, 8303, 8304
PARAMETERS = {"KiliRules": "rules.yaml", "AiwareDelivery": "relay"}
"""Of template.yaml, unless --parameter sets others: the values of a usual deployment."""
WEBHOOK = "http://localhost:33194"
"""Of a toolkit in the engine's container. The local stack posts nothing there."""
SECRETS = f"{stack.SECRET}, {stack.KILI_SECRET} and {stack.AIWARE_SECRET}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--level-offset",
        type=int,
        default=0,
        help="level of full resolution of screenshots, minus ceil(log2(longer side)) (default 0)",
    )
    models = Path(os.environ["MODELS"]) if os.environ.get("MODELS") else None
    parser.add_argument("--models", type=Path, default=models, help="folder with models (default: the variable MODELS)")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of template.yaml, such as KiliDryRun=true",
    )
    arguments = parser.parse_args()
    parameters = PARAMETERS | dict(parameter.split("=", 1) for parameter in arguments.parameter if "=" in parameter)
    ports = {
        "api_port": API_PORT,
        "aws_port": AWS_PORT,
        "slidescore_port": SLIDESCORE_PORT,
        "kili_port": KILI_PORT,
        "media_port": MEDIA_PORT,
    }
    for port in ports.values():
        if is_in_use(arguments.bind, port):
            sys.exit(f"Port {port} is in use. Does another `make serve` run?")
    with stack.running(
        arguments.bind,
        level_offset=arguments.level_offset,
        sample_token=stack.TOKEN,
        parameters=parameters,
        models=arguments.models,
        **ports,
    ) as running:
        samples.fill(running.media)
        images = ", ".join(map(str, running.slidescore.slides))
        face, minute = map(running.media.url, ("face.jpg", "minute.mp4"))
        print(f"webhooks      {running.origin}/slidescore, {running.origin}/kili")
        print(f"aiWARE engine {running.engine}/ready, {running.engine}/process")
        print(f"questions     {running.origin}/slidescore/questions")
        print(f"Slide Score   {running.slidescore.origin}   (simulated; slides {images})")
        print(f"Kili          {running.kili.endpoint}   (simulated; API key {running.kili.api_key})")
        print(f"media         {face}, {minute}")
        print(f"AWS           {running.aws}   (embedded; secrets {SECRETS})")
        print(
            f"""
Post a sample event:
  python3 -c 'import json; print(json.load(open("events/slidescore/nuclei_in_a_rectangle.json"))["body"])' |
  curl --data-binary @- {running.origin}/slidescore
  python3 -c 'import json; print(json.load(open("events/kili/two_mistakes.json"))["body"])' |
  curl --data-binary @- -H 'Authorization: {stack.KILI_SECRET}' {running.origin}/kili

Run the engine on a picture, and on a minute of video:
  ENGINE={running.engine} MINUTE={minute}
  curl -o face.jpg {face}
  curl -F chunkMimeType=image/jpeg -F chunk=@face.jpg $ENGINE/process
  curl -F chunkMimeType=video/mp4 -F cacheURI=$MINUTE $ENGINE/process
With webhooks, the video becomes a job, whose name is in the header X-Annohooks-Job. Read its messages:
  curl -i -F chunkMimeType=video/mp4 -F cacheURI=$MINUTE -F 'payload={{"segmentMs": 10000}}' \\
    -F heartbeatWebhook={WEBHOOK} -F resultWebhook={WEBHOOK} $ENGINE/process
  curl "$ENGINE/jobs/JOB/messages?after=0&wait=20"
Start the relay of engine/ between a toolkit and this engine (engine/README.md):
  ANNOHOOKS_URL={running.origin} ANNOHOOKS_SECRET={stack.AIWARE_SECRET} python3 engine/relay.py

Ctrl-C ends it.""",
            flush=True,
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nstopped")


def is_in_use(bind: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    main()
