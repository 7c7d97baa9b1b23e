"""The counts of the benchmarks of whole jobs, and the costs that follow from them."""

import json
import subprocess
import sys
import threading
from collections import Counter

import pytest

from bench import aiware, prices
from bench.aiware import billed_requests, size_bytes
from bench.instances import FunctionError, Instances, Invocation
from local.template import ROOT, Function

HANDLER = """
import os, pathlib, tempfile
seen = pathlib.Path(tempfile.gettempdir()) / "seen"

def handler(event, context):
    if "fail" in event:
        raise type(event["fail"], (Exception,), {})("reason")
    seen.touch()
    return {"pid": os.getpid(), "left_ms": context.get_remaining_time_in_millis(), "variable": os.environ["VARIABLE"]}
"""


@pytest.fixture
def function(tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    return Function("WorkFunction", tmp_path, "app.handler", 7.0, {"VARIABLE": "own"}, ())


@pytest.fixture
def lambdas():
    running = Instances()
    yield running
    running.stop()


def test_idle_instance_is_used_again(lambdas, function):
    handler = lambdas.load(function, {"VARIABLE": "shared"})
    first, second = handler({"task": "plan"}, None), handler({"task": "plan"}, None)
    assert first["pid"] == second["pid"]
    assert first["variable"] == "own"
    assert 6000 < first["left_ms"] <= 7000
    assert [invocation.start_s > 0 for invocation in lambdas.invocations] == [True, False]
    assert {(invocation.function, invocation.task) for invocation in lambdas.invocations} == {("WorkFunction", "plan")}


def test_function_starts_again_when_its_instances_are_discarded(lambdas, function):
    handler = lambdas.load(function, {})
    first = handler({}, None)
    lambdas.discard()
    assert handler({}, None)["pid"] != first["pid"]


def test_error_of_a_function_keeps_its_name(lambdas, function):
    handler = lambdas.load(function, {})
    with pytest.raises(FunctionError, match="reason") as raised:
        handler({"task": "plan", "fail": "invalid_data"}, None)
    assert raised.value.kind == "invalid_data"
    assert lambdas.errors == ["WorkFunction plan: invalid_data"]


def test_failed_import_of_a_function_is_reported(lambdas, function):
    (function.folder / "app.py").write_text("import there_is_no_such_module")
    with pytest.raises(FunctionError, match="there_is_no_such_module"):
        lambdas.load(function, {})({}, None)


def test_simultaneous_invocations_have_their_own_instances(lambdas, function):
    handler, both = lambdas.load(function, {}), threading.Barrier(2)
    start, pids = lambdas._call, []

    def call(*arguments):
        both.wait()
        return start(*arguments)

    lambdas._call = call
    threads = [threading.Thread(target=lambda: pids.append(handler({}, None)["pid"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 2
    assert len({*pids}) == sum(invocation.start_s > 0 for invocation in lambdas.invocations)


# ---- prices


@pytest.mark.parametrize(
    ("seconds", "cpu_s", "memory_mb", "billed"),
    [
        pytest.param(2.0, 0.0, 256, 2.0, id="waiting does not depend on memory"),
        pytest.param(2.0, 1.0, prices.PROCESSOR_MB, 2.0, id="one whole processor"),
        pytest.param(2.0, 1.0, 10_240, 2.0, id="more than one processor does not help"),
        pytest.param(2.0, 1.0, prices.PROCESSOR_MB / 2, 3.0, id="computing takes twice as long on half a processor"),
        pytest.param(1.0, 1.8, prices.PROCESSOR_MB, 1.8, id="threads share one processor"),
        pytest.param(0.0101, 0.0, prices.PROCESSOR_MB, 0.011, id="rounded up to a millisecond"),
    ],
)
def test_billed_duration_depends_on_the_share_of_a_processor(seconds, cpu_s, memory_mb, billed):
    assert prices.billed_s(seconds, cpu_s, memory_mb) == billed


def test_a_million_units_cost_their_list_price():
    nothing = prices.Requests(0, 0, 0, 0, 0)
    million = 1_000_000
    assert prices.cost([], million, nothing)["Step Functions"] == pytest.approx(25)
    assert prices.cost([prices.Usage(million, 0, 0, 0)], 0, nothing)["Lambda"] == pytest.approx(0.20)
    assert prices.cost([prices.Usage(0, 0, million, 0)], 0, nothing)["Lambda"] == pytest.approx(13.3334)
    assert prices.cost([prices.Usage(0, 0, 0, million)], 0, nothing)["Lambda"] == pytest.approx(0.0309)
    costs = prices.cost([], 0, prices.Requests(million, million, million, million, million))
    assert costs["DynamoDB"] == pytest.approx(0.705 + 0.1415)
    assert costs["S3"] == pytest.approx(5 + 0.4)
    assert costs["API Gateway"] == pytest.approx(3.50)


# ---- counts


def test_size_of_an_item_is_that_of_its_names_and_values():
    assert size_bytes({"job": {"S": "aä"}}) == 3 + 3
    assert size_bytes({"n": {"N": "123"}, "set": {"NS": ["1", "2"]}, "is": {"BOOL": True}}) == (1 + 3) + (3 + 7) + 3


def record(**more):
    return {"job": {"S": "j"}, "sequence": {"N": "0"}, **more}


def message(size):
    return {"job": {"S": "j"}, "sequence": {"N": "1"}, "body": {"S": "x" * size}}


def test_writes_of_the_record_cost_its_size_and_twice_that_in_a_transaction():
    requests = Counter(
        {("dynamodb", "UpdateItem"): 3, ("dynamodb", "PutItem"): 1, ("dynamodb", "TransactWriteItems"): 2}
    )
    units = billed_requests(requests, [record(), message(100), message(1500)], 0).writes
    record_kb = 2 * aiware.TASK_TOKEN_BYTES // 1024 + 1
    assert units == record_kb * (3 + 1 + 2 * 2) + 2 * (1 + 2)


def test_reads_of_the_record_and_of_messages_cost_their_size():
    requests = Counter({("dynamodb", "GetItem"): 5, ("dynamodb", "Query"): 2})
    assert billed_requests(requests, [record(), message(9000)], 0).reads == 5 + 2 + 2


def test_requests_to_s3_are_writes_or_reads():
    requests = Counter({("s3", "PUT"): 2, ("s3", "POST"): 1, ("s3", "LIST"): 1, ("s3", "GET"): 4, ("s3", "HEAD"): 1})
    billed = billed_requests(requests, [record()], 7)
    assert (billed.s3_writes, billed.s3_reads, billed.api) == (4, 5, 7)


def signed(service, method="POST", target="", key="local", query=""):
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host"
    return {
        "HTTP_AUTHORIZATION": authorization,
        "HTTP_X_AMZ_TARGET": target,
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
    }


def test_signature_of_a_request_names_its_service():
    assert aiware._operation(signed("dynamodb", target="DynamoDB_20120810.GetItem")) == ("dynamodb", "GetItem")
    assert aiware._operation(signed("s3", "PUT")) == ("s3", "PUT")
    assert aiware._operation(signed("s3", "GET", query="list-type=2&prefix=x")) == ("s3", "LIST")
    assert aiware._operation({"REQUEST_METHOD": "GET"}) is None
    assert aiware._operation(signed("dynamodb", target="DynamoDB_20120810.Scan", key="bench")) is None


def test_usage_of_a_function_has_the_memory_and_disk_of_the_template():
    invocations = [Invocation("AiwareWorkFunction", "analyse", 1.0, 1.0, 0.5, 100), Invocation("Other", "", 9, 9, 9, 9)]
    usage = aiware.function_usage("AiwareWorkFunction", invocations)
    assert (usage.invocations, usage.seconds) == (1, 1.5)
    assert usage.gb_s == pytest.approx(1.5 * 1769 / 1024)
    assert usage.disk_gb_s == pytest.approx(1.5 * (10_240 - 512) / 1024)


@pytest.mark.thorough
def test_a_whole_job_is_measured_and_costs_what_its_parts_cost():
    run = subprocess.run([sys.executable, "-m", "bench.aiware", "job", "1"], capture_output=True, check=True, cwd=ROOT)
    (_, seconds, *_), (_, dollars, *_) = json.loads(run.stdout)
    assert 0 < seconds < 60
    assert 0.3 < dollars < 1.5
