"""What the benchmarks of whole jobs count, and what they make of it."""

import json
import threading
from collections import Counter

import pytest

from bench import aiware, prices
from bench.aiware import requested, size_bytes
from bench.instances import FunctionError, Instances, Invocation
from local.template import Function

HANDLER = """
import os, pathlib, tempfile
seen = pathlib.Path(tempfile.gettempdir()) / "seen"

def handler(event, context):
    if "fail" in event:
        raise type(event["fail"], (Exception,), {})("as told")
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


def test_an_instance_that_is_idle_is_used_again(lambdas, function):
    handler = lambdas.load(function, {"VARIABLE": "of all"})
    first, second = handler({"task": "plan"}, None), handler({"task": "plan"}, None)
    assert first["pid"] == second["pid"]
    assert first["variable"] == "own"
    assert 6000 < first["left_ms"] <= 7000
    assert [each.start_s > 0 for each in lambdas.invocations] == [True, False]
    assert {(each.function, each.task) for each in lambdas.invocations} == {("WorkFunction", "plan")}


def test_a_function_whose_instances_are_discarded_starts_anew(lambdas, function):
    handler = lambdas.load(function, {})
    first = handler({}, None)
    lambdas.discard()
    assert handler({}, None)["pid"] != first["pid"]


def test_what_a_function_raises_keeps_its_name(lambdas, function):
    handler = lambdas.load(function, {})
    with pytest.raises(FunctionError, match="as told") as raised:
        handler({"task": "plan", "fail": "invalid_data"}, None)
    assert raised.value.kind == "invalid_data"
    assert lambdas.errors == ["WorkFunction plan: invalid_data"]


def test_a_function_that_cannot_be_imported_says_so(lambdas, function):
    (function.folder / "app.py").write_text("import there_is_no_such_module")
    with pytest.raises(FunctionError, match="there_is_no_such_module"):
        lambdas.load(function, {})({}, None)


def test_invocations_at_once_have_instances_of_their_own(lambdas, function):
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
    assert len({*pids}) == sum(each.start_s > 0 for each in lambdas.invocations)


# ---- prices


def test_what_waits_takes_as_long_with_a_share_of_a_processor_and_what_computes_takes_longer():
    assert prices.billed_s(2.0, 0.0, 256) == 2.0
    assert prices.billed_s(2.0, 1.0, prices.PROCESSOR_MB) == 2.0
    assert prices.billed_s(2.0, 1.0, 10_240) == 2.0
    assert prices.billed_s(2.0, 1.0, prices.PROCESSOR_MB // 2) == pytest.approx(3.0, abs=0.01)


def test_threads_at_once_take_one_after_the_other_with_one_processor():
    assert prices.billed_s(1.0, 1.8, prices.PROCESSOR_MB) == 1.8


def test_time_is_paid_by_the_millisecond_rounded_up():
    assert prices.billed_s(0.0101, 0.0, 1769) == 0.011


def test_a_million_of_each_costs_what_the_lists_say():
    nothing = prices.Requests(0, 0, 0, 0, 0)
    million = 1_000_000
    assert prices.cost([], million, nothing)["Step Functions"] == pytest.approx(25)
    assert prices.cost([prices.Ran(million, 0, 0, 0)], 0, nothing)["Lambda"] == pytest.approx(0.20)
    assert prices.cost([prices.Ran(0, 0, million, 0)], 0, nothing)["Lambda"] == pytest.approx(13.3334)
    assert prices.cost([prices.Ran(0, 0, 0, million)], 0, nothing)["Lambda"] == pytest.approx(0.0309)
    asked = prices.cost([], 0, prices.Requests(million, million, million, million, million))
    assert asked["DynamoDB"] == pytest.approx(0.705 + 0.1415)
    assert asked["S3"] == pytest.approx(5 + 0.4)
    assert asked["API Gateway"] == pytest.approx(3.50)


# ---- what is counted


def test_an_item_is_as_large_as_its_names_and_values():
    assert size_bytes({"job": {"S": "aä"}}) == 3 + 3
    assert size_bytes({"n": {"N": "123"}, "set": {"NS": ["1", "2"]}, "is": {"BOOL": True}}) == (1 + 3) + (3 + 7) + 3


def record(**more):
    return {"job": {"S": "j"}, "sequence": {"N": "0"}, **more}


def message(size):
    return {"job": {"S": "j"}, "sequence": {"N": "1"}, "body": {"S": "x" * size}}


def test_writes_of_the_record_cost_by_its_size_and_twice_in_a_transaction():
    made = Counter({("dynamodb", "UpdateItem"): 3, ("dynamodb", "PutItem"): 1, ("dynamodb", "TransactWriteItems"): 2})
    units = requested(made, [record(), message(100), message(1500)], 0).writes
    record_kb = 2 * aiware.TASK_TOKEN_BYTES // 1024 + 1
    assert units == record_kb * (3 + 1 + 2 * 2) + 2 * (1 + 2)


def test_reads_of_the_record_and_of_messages_cost_by_their_size():
    made = Counter({("dynamodb", "GetItem"): 5, ("dynamodb", "Query"): 2})
    assert requested(made, [record(), message(9000)], 0).reads == 5 + 2 + 2


def test_requests_to_s3_are_written_or_read():
    made = Counter({("s3", "PUT"): 2, ("s3", "POST"): 1, ("s3", "LIST"): 1, ("s3", "GET"): 4, ("s3", "HEAD"): 1})
    found = requested(made, [record()], 7)
    assert (found.s3_writes, found.s3_reads, found.api) == (4, 5, 7)


def signed(service, method="POST", target="", key="local", query=""):
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host"
    return {
        "HTTP_AUTHORIZATION": authorization,
        "HTTP_X_AMZ_TARGET": target,
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
    }


def test_a_request_is_known_by_whom_it_is_signed_for():
    assert aiware._operation(signed("dynamodb", target="DynamoDB_20120810.GetItem")) == ("dynamodb", "GetItem")
    assert aiware._operation(signed("s3", "PUT")) == ("s3", "PUT")
    assert aiware._operation(signed("s3", "GET", query="list-type=2&prefix=x")) == ("s3", "LIST")
    assert aiware._operation({"REQUEST_METHOD": "GET"}) is None


def test_requests_of_the_benchmark_itself_are_not_counted():
    assert aiware._operation(signed("dynamodb", target="DynamoDB_20120810.Scan", key="bench")) is None


def test_a_function_is_paid_by_the_memory_and_disk_that_the_template_gives_it():
    invocations = [Invocation("AiwareWorkFunction", "analyse", 1.0, 1.0, 0.5, 100), Invocation("Other", "", 9, 9, 9, 9)]
    ran = aiware.functions_ran("AiwareWorkFunction", invocations)
    assert (ran.number, ran.seconds) == (1, 1.5)
    assert ran.gb_s == pytest.approx(1.5 * 1769 / 1024)
    assert ran.disk_gb_s == pytest.approx(1.5 * (10_240 - 512) / 1024)


def test_rows_pass_from_process_to_process_as_json():
    row = aiware.Measured("_cost", 1.0, None, "USD per 1,000 jobs", "note")
    assert aiware.Measured(*json.loads(json.dumps([row]))[0]) == row
