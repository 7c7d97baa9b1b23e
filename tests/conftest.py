"""The local stack, for the tests of a whole function."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import boto3
import hypothesis
import pytest
from moto import mock_aws
from moto.backends import get_backend

from annohooks.aiware import state_machine
from annohooks.core import auth, dynamodb, s3
from annohooks.core.observability import logger
from annohooks.kili.api import cache
from local import stack, template
from local.gateway import Gateway
from local.lambdas import Handler, load
from local.simulators.kili import Kili
from local.simulators.slidescore import SlideScore, Viewed
from local.stack import Stack
from local.stepfunctions import ACCOUNT

QUICK = {"AiwareHeartbeatSeconds": "1", "AiwarePatienceSeconds": "4"}
TIME_SCALE = 0.02
REGION = "us-east-1"


@pytest.fixture(scope="session")
def event_loop_of_the_instance() -> Iterator[None]:
    """Mangum wants its thread to have an event loop, as Lambda's has."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


# How long an example takes says more about the machine than about the code: no deadline.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=200)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="run the tests marked `thorough` too, and 200 examples of each property"
    )
    parser.addoption(
        "--only-thorough", action="store_true", help="as --thorough, without what the quick run does in the same way"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: runs with `make test-thorough` only")
    is_thorough = config.getoption("thorough") or config.getoption("only_thorough")
    hypothesis.settings.load_profile("thorough" if is_thorough else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests marked `thorough`, or those that the quick run does in the same way."""
    chosen = items[:]
    if config.getoption("only_thorough"):
        chosen = [item for item in items if _is_thorough(item) or hypothesis.is_hypothesis_test(_function(item))]
    elif not config.getoption("thorough"):
        chosen = [item for item in items if not _is_thorough(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _is_thorough(item: pytest.Item) -> bool:
    return item.get_closest_marker("thorough") is not None


def _function(item: pytest.Item) -> object:
    return getattr(item, "function", None)


@pytest.fixture(autouse=True)
def _log_without_keys() -> Iterator[None]:
    """Outside an invocation nothing clears the keys that a test's code adds to the log lines of its thread."""
    yield
    logger.thread_safe_clear_keys()


@pytest.fixture
def forgetful(event_loop_of_the_instance: None) -> Iterator[None]:
    """A test that changes the environment: clients of AWS, and the secrets they read, do not outlive it."""
    with mock.patch.dict(os.environ):
        _forget()
        yield
        _forget()


def _forget() -> None:
    auth.ssm.cache_clear()
    s3.client.cache_clear()
    dynamodb.client.cache_clear()
    state_machine.client.cache_clear()


@pytest.fixture(scope="session")
def running_stack(event_loop_of_the_instance: None) -> Iterator[Stack]:
    """The local stack, one for each worker. Heartbeats are quick, and so are pauses."""
    _forget()
    with stack.running(parameters=QUICK, time_scale=TIME_SCALE) as running:
        yield running


@pytest.fixture(scope="session")
def another_stack(event_loop_of_the_instance: None) -> Callable[..., AbstractContextManager[Stack]]:
    """another_stack(parameters=..., ...): a second stack with other settings, for a while in place of the first."""

    @contextmanager
    def start(**settings: Any) -> Iterator[Stack]:
        _forget()
        with stack.running(**{"time_scale": TIME_SCALE, **settings}) as running:
            yield running
        _forget()

    return start


@pytest.fixture
def embedded_aws(event_loop_of_the_instance: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS without anything in it, for what needs no function around it."""
    with _embedded_aws(monkeypatch):
        yield


@pytest.fixture(scope="module")
def embedded_aws_of_the_module(event_loop_of_the_instance: None) -> Iterator[None]:
    """As `embedded_aws`, one for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch, _embedded_aws(patch):
        yield


@contextmanager
def _embedded_aws(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """It shares its memory with the AWS of the running stack, which has another region and other names of buckets."""
    settings = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    settings |= dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), REGION)
    aws = mock_aws(config={"core": {"passthrough": {"urls": [r"http://127\.0\.0\.1.*"]}}})
    s3_of_all_regions = get_backend("s3")[ACCOUNT]["aws"]
    buckets = set(s3_of_all_regions.buckets)
    for name, value in settings.items():
        patch.setenv(name, value)
    patch.delenv("AWS_ENDPOINT_URL", raising=False)
    _forget()
    aws.start(reset=False)
    yield
    aws.stop(remove_data=False)
    _forget()
    for name in set(s3_of_all_regions.buckets) - buckets:
        del s3_of_all_regions.buckets[name]
        get_backend("s3").bucket_accounts.pop(name, None)
    for service in ("dynamodb", "ssm", "stepfunctions"):
        get_backend(service)[ACCOUNT][REGION].reset()


@pytest.fixture
def slidescore(running_stack: Stack) -> Iterator[SlideScore]:
    """The stack's Slide Score as it was at the start. Whatever goes wrong, nobody may call it against its protocol."""
    server = running_stack.slidescore
    for noted in (server.calls, server.violations, server.given_up, server.other_origin_calls):
        noted.clear()
    server.annos.clear()
    yield server
    server.faults.clear()
    assert server.violations == []


@pytest.fixture
def kili(running_stack: Stack) -> Iterator[Kili]:
    """The stack's Kili. Whatever goes wrong, nobody may call it against its protocol."""
    server = running_stack.kili
    server.calls.clear()
    server.violations.clear()
    for answers in (cache.projects, cache.viewers, cache.without_new_send_back):
        answers.clear()
    yield server
    server.faults.clear()
    assert server.violations == []


@dataclasses.dataclass
class Bundle:
    """The function behind a socket. handler: the same function, to be called with an event."""

    url: str
    handler: Handler
    slidescore: SlideScore

    def trigger(self, body: Mapping[str, object], *, query: str = "", given_up: int = 1) -> Viewed:
        """Posts a webhook as Slide Score does. given_up: how often its token is, once whatever the outcome."""
        viewed = self.slidescore.trigger(self.url + query, body)
        assert self.slidescore.given_up.count(viewed.token) == given_up
        return viewed


@pytest.fixture
def bundle(running_stack: Stack, slidescore: SlideScore) -> Iterator[Callable[..., Bundle]]:
    """bundle(SLIDESCORE_ANALYZER="nuclei", ...): the function with other settings than the template's defaults.

    server: a Slide Score other than the stack's, which is then the one that is allowed.
    """
    with ExitStack() as gateways:

        def start(server: SlideScore = slidescore, **environment: str) -> Bundle:
            parameters = {"SlideScoreOrigins": server.origin}
            functions = [
                dataclasses.replace(function, environment=function.environment | environment)
                for function in template.functions(parameters, stack.RESOURCES)
            ]
            gateway = gateways.enter_context(Gateway(functions, running_stack.environment))
            (function,) = (function for function in functions if function.folder.name == "slidescore")
            return Bundle(f"{gateway.origin}/slidescore", load(function, running_stack.environment), server)

        yield start


@pytest.fixture
def secrets(running_stack: Stack) -> Callable[[str], str]:
    """secrets("text"): the name of a new parameter that holds the text."""

    def put(text: str) -> str:
        name = f"/annohooks/tests/{uuid.uuid4()}"
        boto3.client("ssm").put_parameter(Name=name, Value=text, Type="SecureString")
        return name

    return put
