"""Promises of template.yaml that no linter keeps."""

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.detectors import DETECTORS
from local.template import load

ROOT = Path(__file__).parents[2]
TEMPLATE = load()
PARAMETERS = TEMPLATE["Parameters"]
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = {
    name: body["Properties"] for name, body in RESOURCES.items() if body["Type"] == "AWS::Serverless::Function"
}

MODELS = {"<ModelsBucket>/* if HasModels": "s3:GetObject"}
AIWARE_SECRET = {"parameter<AiwareSecretParameter>": "ssm:GetParameter"}
KILI_PERMISSIONS = {
    "parameter<KiliApiKeyParameter>": "ssm:GetParameter",
    "parameter<KiliSecretParameter>": "ssm:GetParameter",
    "IdempotencyTable.Arn": "dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem",
    "<Object> if HasKiliRulesInS3": "s3:GetObject",
    "parameter<Name> if HasKiliRulesInSsm": "ssm:GetParameter",
}
PERMISSIONS = {
    "SlideScoreFunction": {
        "parameter<SlideScoreSecretParameter>": "ssm:GetParameter",
        "<StagingBucket.Arn>/slidescore/*": "s3:GetObject s3:PutObject s3:DeleteObject",
        **MODELS,
    },
    "KiliFunction": KILI_PERMISSIONS,
    "KiliReconcileFunction": KILI_PERMISSIONS,
    "AiwareReadyFunction": {
        "JobsTable.Arn": "dynamodb:DescribeTable",
        "AiwareEngine": "states:DescribeStateMachine",
        "StagingBucket.Arn": "s3:ListBucket",
        **AIWARE_SECRET,
        **MODELS,
    },
    "AiwareProcessFunction": {
        "JobsTable.Arn": "dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "AiwareEngine": "states:StartExecution",
        "<StagingBucket.Arn>/aiware/*": "s3:PutObject",
        **AIWARE_SECRET,
        **MODELS,
    },
    "AiwareWorkFunction": {
        "JobsTable.Arn": "dynamodb:UpdateItem",
        "<StagingBucket.Arn>/aiware/*": "s3:GetObject s3:PutObject",
        **MODELS,
    },
    "AiwareReportFunction": {
        "JobsTable.Arn": "dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "stateMachine:<AWS::StackName>-aiware-engine": "states:SendTaskSuccess",
        "<StagingBucket.Arn>/aiware/*": "s3:GetObject s3:PutObject",
    },
    "AiwareMessagesFunction": {
        "JobsTable.Arn": "dynamodb:GetItem dynamodb:Query dynamodb:UpdateItem",
        "<StagingBucket.Arn>/aiware/*": "s3:GetObject",
        **AIWARE_SECRET,
    },
}

# What an access log may contain: no header, no query string, no path as it was sent, nothing of a body.
LOGGABLE = (
    "error.responseType httpMethod identity.sourceIp integrationLatency requestId requestTime"
    " resourcePath responseLatency responseLength status xrayTraceId"
)


def of_type(kind: str) -> dict[str, dict]:
    return {name: body for name, body in RESOURCES.items() if body["Type"] == kind}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resource_text(resource: Any) -> str:
    """The resource of a statement, without the parts of an ARN that every statement has."""
    if isinstance(resource, str):
        return resource
    text = resource.get("Ref") or resource.get("Fn::GetAtt") or listed(resource["Fn::Sub"])[0]
    text = re.sub(r"^arn:\$\{AWS::Partition\}:\w+:(\$\{AWS::Region\}:\$\{AWS::AccountId\}:|::)", "", text)
    return re.sub(r"\$\{([\w.:]+)\}", r"<\1>", text)


def permissions(function: str) -> dict[str, str]:
    """What a function may do, by resource, and "resource if condition" where it depends on one."""
    allowed = {}
    for statement in FUNCTIONS[function]["Policies"][0]["Statement"]:
        condition, body, otherwise = statement.get("Fn::If", (None, statement, None))
        assert otherwise in (None, {"Ref": "AWS::NoValue"})
        assert body.keys() <= {"Sid", "Effect", "Action", "Resource"}
        for resource in listed(body["Resource"]):
            key = resource_text(resource) + (f" if {condition}" if condition else "")
            assert key not in allowed
            allowed[key] = " ".join(listed(body["Action"]))
    return allowed


def test_every_parameter_has_a_type_a_description_and_bounds_that_its_default_meets():
    for name, parameter in PARAMETERS.items():
        default = parameter["Default"]
        assert parameter["Type"] in {"String", "Number"}, name
        assert 20 < len(parameter["Description"]) < 200, name
        if parameter["Type"] == "Number" and "AllowedValues" not in parameter:
            assert parameter["MinValue"] <= default <= parameter["MaxValue"], name
        elif "AllowedValues" in parameter:
            assert default in parameter["AllowedValues"], name
        else:
            assert re.fullmatch(parameter["AllowedPattern"], default), name


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (
            "SlideScoreOrigins",
            ["", "https://a.example.org", "https://*.a.org, http://10.0.0.7:8080\thttps://b"],
            ["a.example.org", "https://a.example.org/", "https://a.org;https://b.org/x", "ftp://a"],
        ),
        (
            "ModelsBucket",
            ["", "models", "team-models.example.org", "a1b"],
            ["ab", "Models", "models/*", "*", "models/nuclei.onnx", "s3://models", "a" * 64, "-models"],
        ),
        (
            "KiliRules",
            ["rules.yaml", "s3://team/qa/rules.yaml", "ssm:/team/rules"],
            ["", "../rules.yaml", "s3://bucket", "s3://bucket/*", "ssm:name", "rules.txt", "*"],
        ),
        ("SlideScoreAnalyzer", [*ANALYZERS], ["", "Nuclei"]),
        ("AiwareAnalyzer", [*ANALYZERS, *DETECTORS], ["", "faces,barcodes"]),
    ],
)
def test_deployment_accepts_what_the_code_reads_and_nothing_wider(parameter, accepted, refused):
    pattern = PARAMETERS[parameter]["AllowedPattern"]
    assert [text for text in accepted if not re.fullmatch(pattern, text)] == []
    assert [text for text in refused if re.fullmatch(pattern, text)] == []


def test_default_analyzers_exist():
    assert PARAMETERS["SlideScoreAnalyzer"]["Default"] in ANALYZERS
    assert PARAMETERS["AiwareAnalyzer"]["Default"] in {*ANALYZERS, *DETECTORS}


def test_each_function_logs_to_its_own_group():
    groups = {name: properties["LoggingConfig"]["LogGroup"]["Ref"] for name, properties in FUNCTIONS.items()}
    assert groups == {name: f"{name.removesuffix('Function')}Logs" for name in FUNCTIONS}


def test_each_log_group_has_the_retention_of_the_parameter():
    groups = of_type("AWS::Logs::LogGroup").values()
    assert len(groups) == len(FUNCTIONS) + 2  # the API and the state machine
    assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)


def test_only_functions_that_read_pixels_have_the_imaging_layer():
    layers = {name: [layer["Ref"] for layer in properties["Layers"]] for name, properties in FUNCTIONS.items()}
    pixels = {"SlideScoreFunction", "AiwareProcessFunction", "AiwareWorkFunction"}
    assert layers == {
        name: ["SharedLayer", "RuntimeLayer", *(["ImagingLayer"] if name in pixels else [])] for name in FUNCTIONS
    }


def test_functions_and_layers_have_the_same_architecture_and_runtime():
    assert all(properties["Architectures"] == [{"Ref": "Architecture"}] for properties in FUNCTIONS.values())
    runtimes = {properties["Runtime"] for properties in FUNCTIONS.values()}
    for layer in of_type("AWS::Serverless::LayerVersion").values():
        assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
        assert set(layer["Properties"]["CompatibleRuntimes"]) == runtimes


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_may_do_what_the_table_says_and_no_more(function):
    assert permissions(function) == PERMISSIONS[function]
    assert len(FUNCTIONS[function]["Policies"]) == 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_environment_names_the_functions_own_secrets_and_contains_none(function):
    variables = FUNCTIONS[function]["Environment"]["Variables"]
    secrets = {name: value for name, value in variables.items() if re.search("SECRET|KEY|TOKEN$", name)}
    secrets.pop("SLIDESCORE_GIVE_UP_TOKEN", None)
    readable = {
        re.sub(r"parameter<(\w+)>", r"\1", key) for key in PERMISSIONS[function] if re.match("parameter.*>$", key)
    }
    assert all(name.endswith("_PARAMETER") for name in secrets)
    assert {value["Ref"] for value in secrets.values()} == readable


def test_models_are_readable_only_when_a_bucket_is_named():
    assert TEMPLATE["Conditions"]["HasModels"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ModelsBucket"}, ""]}]}


@pytest.mark.parametrize("function", ["KiliFunction", "KiliReconcileFunction"])
@pytest.mark.parametrize(
    ("rules", "condition", "path"),
    [
        ("s3://team/qa/rules.yaml", "HasKiliRulesInS3", "team/qa/rules.yaml"),
        ("ssm:/team/rules", "HasKiliRulesInSsm", "/team/rules"),
        ("rules.yaml", None, None),
    ],
)
def test_rules_outside_the_package_are_readable_at_their_own_location_only(function, rules, condition, path):
    statements = [s["Fn::If"] for s in FUNCTIONS[function]["Policies"][0]["Statement"] if "Fn::If" in s]
    for name, statement, _ in statements:
        prefix, kind = TEMPLATE["Conditions"][name]["Fn::Equals"]
        assert prefix == {"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "KiliRules"}]}]}
        assert (rules.split(":")[0] == kind) == (name == condition)
        (selected,) = statement["Resource"]["Fn::Sub"][1].values()
        index, split = selected["Fn::Select"]
        separator, text = split["Fn::Split"]
        parts = text["Fn::Sub"].replace("${KiliRules}", rules).split(separator)
        assert len(parts) > index  # CloudFormation evaluates it whatever the condition
        assert name != condition or parts[index] == path


def test_both_kili_functions_have_the_same_code_and_settings():
    webhook, reconcile = FUNCTIONS["KiliFunction"], FUNCTIONS["KiliReconcileFunction"]
    own = {"KILI_RECONCILE_MINUTES": "60", "POWERTOOLS_SERVICE_NAME": "kili-reconcile"}
    assert reconcile["Environment"]["Variables"] == webhook["Environment"]["Variables"] | own
    assert reconcile["CodeUri"] == webhook["CodeUri"]


def test_arns_of_the_state_machine_that_are_written_out_contain_its_name():
    name = RESOURCES["AiwareEngine"]["Properties"]["Name"]["Fn::Sub"]
    assert json.dumps(RESOURCES).count(f"stateMachine:{name}") == 3  # the watchdog's rule, its tokens, the map's items


def test_the_state_machine_may_invoke_the_functions_of_its_definition():
    machine = RESOURCES["AiwareEngine"]["Properties"]
    definition = (ROOT / machine["DefinitionUri"]).read_text()
    assert set(re.findall(r"\$\{(\w+)\}", definition)) == machine["DefinitionSubstitutions"].keys()
    invoked = {
        value["Fn::GetAtt"] for key, value in machine["DefinitionSubstitutions"].items() if key.endswith("Function")
    }
    (tasks,) = [s for s in machine["Policies"][0]["Statement"] if s["Action"] == "lambda:InvokeFunction"]
    assert {resource["Fn::GetAtt"] for resource in tasks["Resource"]} == invoked


def test_table_of_kili_has_the_key_and_the_expiry_that_the_webhook_uses():
    table = RESOURCES["IdempotencyTable"]["Properties"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiration", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_every_route_has_the_throttle_of_the_parameters():
    (settings,) = RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}


def test_no_log_or_trace_of_aws_contains_a_query_string_or_the_data_of_a_job():
    api = RESOURCES["Api"]["Properties"]
    (settings,) = api["MethodSettings"]
    assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)
    assert api["TracingEnabled"] is False
    assert {properties["Tracing"] for properties in FUNCTIONS.values()} == {"Active"}
    assert RESOURCES["AiwareEngine"]["Properties"]["Logging"]["IncludeExecutionData"] is False


def test_access_log_is_one_line_of_json_without_anything_that_could_contain_a_secret():
    text = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"]
    assert sorted(json.loads(text).values()) == [f"$context.{name}" for name in LOGGABLE.split()]
    assert "\n" not in text


def test_failures_of_the_api_itself_are_503():
    answer = RESOURCES["Api"]["Properties"]["GatewayResponses"]["DEFAULT_5XX"]
    assert answer["StatusCode"] == 503
    assert json.loads(answer["ResponseTemplates"]["application/json"])["message"]


def test_every_allowed_api_timeout_has_its_milliseconds():
    seconds = PARAMETERS["ApiTimeoutSeconds"]["AllowedValues"]
    milliseconds = {int(key): value["Milliseconds"] for key, value in TEMPLATE["Mappings"]["ApiTimeout"].items()}
    assert milliseconds == {s: s * 1000 for s in seconds}


@pytest.mark.parametrize("action", ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"])
def test_function_url_has_both_permissions_and_only_when_it_is_enabled(action):
    permissions = of_type("AWS::Lambda::Permission").values()
    (permission,) = [body for body in permissions if body["Properties"]["Action"] == action]
    (url,) = of_type("AWS::Lambda::Url").values()
    assert permission["Condition"] == url["Condition"] == "HasSlideScoreFunctionUrl"
    limit = {"FunctionUrlAuthType": "NONE"} if action.endswith("Url") else {"InvokedViaFunctionUrl": True}
    assert limit.items() <= permission["Properties"].items()


def test_alarms_exist_only_with_a_topic_and_notify_it():
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        condition = alarm["Condition"]
        needed = TEMPLATE["Conditions"][condition].get("Fn::And", [{"Condition": condition}])
        assert {"Condition": "HasAlarms"} in needed, name
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopicArn"}], name


def test_functions_that_users_wait_for_have_alarms():
    alarms = [alarm["Properties"] for alarm in of_type("AWS::CloudWatch::Alarm").values()]
    metrics = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]["Ref"]) for alarm in alarms}
    functions = ("SlideScoreFunction", "KiliFunction", "AiwareProcessFunction")
    assert metrics >= {(metric, function) for metric in ("Errors", "Throttles") for function in functions}
    assert metrics >= {("Duration", "SlideScoreFunction"), ("Url5xxCount", "SlideScoreFunction")}


def test_duration_alarm_is_below_the_timeout():
    timeout_ms = FUNCTIONS["SlideScoreFunction"]["Timeout"] * 1000
    threshold_ms = RESOURCES["SlideScoreDurationAlarm"]["Properties"]["Threshold"]
    assert 0.8 * timeout_ms < threshold_ms < timeout_ms


def test_each_linter_exception_has_its_reason():
    skips = [
        skip for body in RESOURCES.values() for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skips
    assert all(len(skip["comment"]) > 20 for skip in skips)
    ignored = re.findall(r"^ +- [EWI]S?\d{4}\b(.*)", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert ignored
    assert all(re.match(r"  # .{20}", reason) for reason in ignored)
    lines = (ROOT / ".checkov.yaml").read_text().splitlines()
    off = [index for index, line in enumerate(lines) if line.lstrip().startswith("- CKV")]
    assert off
    assert all(lines[index - 1].lstrip().startswith("# ") for index in off)


def test_runtime_layer_lists_everything_its_packages_need():
    """It is installed without following dependencies. Lambda has botocore."""
    lines = (ROOT / "layers/runtime/requirements.txt").read_text().splitlines()
    listed = {canonicalize_name(Requirement(line.split("#")[0]).name) for line in lines if line.split("#")[0].strip()}
    needed = {
        canonicalize_name(requirement.name)
        for name in listed
        for requirement in map(Requirement, importlib.metadata.requires(name) or [])
        if not requirement.marker or requirement.marker.evaluate({"extra": "", "python_version": "3.13"})
    }
    assert needed - listed == {"botocore"}
