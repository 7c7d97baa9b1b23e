"""Promises of template.yaml that no linter keeps."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.detectors import DETECTORS
from local.template import load

ROOT = Path(__file__).parents[2]
TEMPLATE = load()
RESOURCES = TEMPLATE["Resources"]
CONSTRAINTS = {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"}

# What an access log may hold: no header, no query string, no path as it was sent, nothing of a body.
LOGGABLE = {
    "error.responseType",
    "httpMethod",
    "identity.sourceIp",
    "integrationLatency",
    "requestId",
    "requestTime",
    "resourcePath",
    "responseLatency",
    "responseLength",
    "status",
    "xrayTraceId",
}


def of_type(kind: str) -> dict[str, dict]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


each_function = pytest.mark.parametrize("name", of_type("AWS::Serverless::Function"))


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_each_parameter_is_typed_described_and_constrained(name):
    parameter = TEMPLATE["Parameters"][name]
    assert parameter["Type"] in {"String", "Number"}
    assert len(parameter["Description"]) > 20
    assert CONSTRAINTS & parameter.keys()
    if parameter["Type"] == "Number":
        assert "AllowedValues" in parameter or {"MinValue", "MaxValue"} <= parameter.keys()


@pytest.mark.parametrize("name", [name for name, of in TEMPLATE["Parameters"].items() if "Default" in of])
def test_each_default_meets_its_own_constraint(name):
    parameter = TEMPLATE["Parameters"][name]
    default = parameter["Default"]
    assert default in parameter.get("AllowedValues", [default])
    assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default))
    assert parameter.get("MinValue", default) <= default <= parameter.get("MaxValue", default)


@pytest.mark.parametrize("text", ["", "https://a.example.org", "https://*.a.org, http://10.0.0.7:8080\thttps://b"])
def test_origins_that_the_code_reads_can_be_deployed(text):
    assert re.fullmatch(TEMPLATE["Parameters"]["SlideScoreOrigins"]["AllowedPattern"], text)


@pytest.mark.parametrize(
    "text", ["a.example.org", "https://a.example.org/", "https://a.org;https://b.org/x", "ftp://a"]
)
def test_origins_that_the_code_would_refuse_are_refused_at_deployment(text):
    assert not re.fullmatch(TEMPLATE["Parameters"]["SlideScoreOrigins"]["AllowedPattern"], text)


@each_function
def test_each_function_logs_to_its_own_group(name):
    group = RESOURCES[name]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    users = [
        f
        for f, of in of_type("AWS::Serverless::Function").items()
        if of["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] == group
    ]
    assert users == [name]
    assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"


def test_each_log_group_has_the_retention_of_the_parameter():
    groups = of_type("AWS::Logs::LogGroup")
    assert len(groups) > len(of_type("AWS::Serverless::Function"))
    assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


@each_function
def test_each_function_has_the_package_and_its_dependencies_as_layers_of_its_own_architecture(name):
    properties = RESOURCES[name]["Properties"]
    layers = [layer["Ref"] for layer in properties["Layers"]]
    assert layers[:2] == ["SharedLayer", "RuntimeLayer"]
    assert set(layers) <= of_type("AWS::Serverless::LayerVersion").keys()
    assert properties["Architectures"] == [{"Ref": "Architecture"}]
    for layer in layers:
        assert RESOURCES[layer]["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
        assert properties["Runtime"] in RESOURCES[layer]["Properties"]["CompatibleRuntimes"]


def statements(name: str) -> tuple[list[dict], dict[str, dict]]:
    """What a function is always allowed, and what it is only under a condition, by the condition's name."""
    listed = [s for policy in RESOURCES[name]["Properties"]["Policies"] for s in policy["Statement"]]
    conditions = [s["Fn::If"] for s in listed if "Fn::If" in s]
    assert all(otherwise == {"Ref": "AWS::NoValue"} for _, _, otherwise in conditions)
    return [s for s in listed if "Fn::If" not in s], {condition: allowed for condition, allowed, _ in conditions}


OWN_PARAMETERS = {
    "SlideScoreFunction": {"SlideScoreSecretParameter"},
    "KiliFunction": {"KiliSecretParameter", "KiliApiKeyParameter"},
    "KiliReconcileFunction": {"KiliSecretParameter", "KiliApiKeyParameter"},
    "AiwareReadyFunction": {"AiwareSecretParameter"},
    "AiwareProcessFunction": {"AiwareSecretParameter"},
    "AiwareMessagesFunction": {"AiwareSecretParameter"},
    "AiwareWorkFunction": set(),  # Step Functions alone call these two
    "AiwareReportFunction": set(),
}


@each_function
def test_each_function_may_read_no_secret_but_its_own(name):
    always, _ = statements(name)
    secrets = [s for s in always if "ssm" in json.dumps(s["Action"])]
    assert all(each["Action"] == "ssm:GetParameter" for each in secrets)
    listed = [each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]] for each in secrets]
    named = {re.fullmatch(r"arn:.*:parameter\$\{(\w+)\}", of["Fn::Sub"])[1] for each in listed for of in each}
    assert named == OWN_PARAMETERS[name]


@each_function
def test_each_function_uses_only_its_platforms_part_of_the_bucket_and_its_own_table(name):
    always, sometimes = statements(name)
    platform = next(each for each in ("SlideScore", "Kili", "Aiware") if name.startswith(each))
    buckets = [s["Resource"] for s in always if "s3:" in json.dumps(s["Action"]) and s["Action"] != "s3:ListBucket"]
    assert buckets in ([], [{"Fn::Sub": f"${{StagingBucket.Arn}}/{platform.lower()}/*"}])
    tables = [s["Resource"] for s in always if "dynamodb:" in json.dumps(s["Action"])]
    assert tables in ([], [{"Fn::GetAtt": f"{'JobsTable' if platform == 'Aiware' else 'IdempotencyTable'}.Arn"}])
    assert "*" not in json.dumps([s["Action"] for s in [*always, *sometimes.values()]])


@pytest.mark.parametrize("name", ["KiliFunction", "KiliReconcileFunction"])
@pytest.mark.parametrize(
    ("rules", "condition", "read"),
    [
        ("s3://team/qa/rules.yaml", "HasKiliRulesInS3", "team/qa/rules.yaml"),
        ("ssm:/team/rules", "HasKiliRulesInSsm", "/team/rules"),
        ("rules.yaml", None, None),
    ],
)
def test_rules_outside_the_package_may_be_read_where_they_are_and_nowhere_else(name, rules, condition, read):
    pattern = TEMPLATE["Parameters"]["KiliRules"]["AllowedPattern"]
    assert re.fullmatch(pattern, rules)
    _, sometimes = statements(name)
    assert sometimes.keys() == {"HasKiliRulesInS3", "HasKiliRulesInSsm"}
    for each, statement in sometimes.items():
        (selected, of) = TEMPLATE["Conditions"][each]["Fn::Equals"]
        assert selected == {"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "KiliRules"}]}]}
        assert (rules.split(":")[0] == of) == (each == condition)
        (value,) = statement["Resource"]["Fn::Sub"][1].values()
        index, split = value["Fn::Select"]
        at, text = split["Fn::Split"]
        found = text["Fn::Sub"].replace("${KiliRules}", rules).split(at)[index]  # which must be there in any case
        assert each != condition or found == read


@pytest.mark.parametrize("text", ["", "../rules.yaml", "s3://bucket", "s3://bucket/*", "ssm:name", "rules.txt", "*"])
def test_rules_may_not_be_somewhere_the_function_would_not_find_them(text):
    assert not re.fullmatch(TEMPLATE["Parameters"]["KiliRules"]["AllowedPattern"], text)


def test_both_kili_functions_are_told_the_same():
    of = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in OWN_PARAMETERS if "Kili" in name}
    webhook, reconcile = ({k: v for k, v in each.items() if not k.startswith("POWERTOOLS_S")} for each in of.values())
    assert reconcile == webhook | {"KILI_RECONCILE_MINUTES": "60"}
    assert (
        RESOURCES["KiliFunction"]["Properties"]["CodeUri"]
        == RESOURCES["KiliReconcileFunction"]["Properties"]["CodeUri"]
    )


def test_what_the_state_machine_needs_is_named_alike_everywhere():
    """Its ARN is written out where a reference would be a circle."""
    machine = RESOURCES["AiwareEngine"]["Properties"]
    name = machine["Name"]["Fn::Sub"]
    assert json.dumps(RESOURCES).count(f"stateMachine:{name}") == 3  # the watchdog's rule, its tokens, the map's items
    definition = (ROOT / machine["DefinitionUri"]).read_text()
    used = set(re.findall(r"\$\{(\w+)\}", definition))
    assert used == machine["DefinitionSubstitutions"].keys()
    invoked = {of["Fn::GetAtt"] for key, of in machine["DefinitionSubstitutions"].items() if key != "Partition"}
    (tasks,) = [s for s in machine["Policies"][0]["Statement"] if s["Action"] == "lambda:InvokeFunction"]
    assert {of["Fn::GetAtt"] for of in tasks["Resource"]} == invoked


def test_no_data_of_a_job_is_in_the_state_machines_log():
    logging = RESOURCES["AiwareEngine"]["Properties"]["Logging"]
    assert logging["IncludeExecutionData"] is False


def test_aiware_functions_that_touch_no_pixels_do_without_the_large_layer():
    large = {
        name
        for name in of_type("AWS::Serverless::Function")
        if name.startswith("Aiware") and len(RESOURCES[name]["Properties"]["Layers"]) == 3
    }
    assert large == {"AiwareProcessFunction", "AiwareWorkFunction"}


def test_table_is_as_powertools_wants_it():
    table = RESOURCES["IdempotencyTable"]["Properties"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiration", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("name", ["SlideScoreFunction", "AiwareProcessFunction", "AiwareWorkFunction"])
def test_models_may_only_be_read_and_only_from_a_bucket_that_was_named(name):
    _, sometimes = statements(name)
    assert sometimes.keys() == {"HasModels"}
    assert TEMPLATE["Conditions"]["HasModels"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ModelsBucket"}, ""]}]}
    assert sometimes["HasModels"]["Action"] == "s3:GetObject"
    assert sometimes["HasModels"]["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${ModelsBucket}/*"}


@pytest.mark.parametrize("text", ["", "models", "team-models.example.org", "a1b"])
def test_models_bucket_may_be_any_bucket_or_none(text):
    assert re.fullmatch(TEMPLATE["Parameters"]["ModelsBucket"]["AllowedPattern"], text)


@pytest.mark.parametrize(
    "text", ["ab", "Models", "models/*", "*", "models/nuclei.onnx", "s3://models", "a" * 64, "-models"]
)
def test_models_bucket_is_a_bucket_and_nothing_wider(text):
    assert not re.fullmatch(TEMPLATE["Parameters"]["ModelsBucket"]["AllowedPattern"], text)


@pytest.mark.parametrize(
    ("parameter", "names"), [("SlideScoreAnalyzer", {*ANALYZERS}), ("AiwareAnalyzer", {*ANALYZERS, *DETECTORS})]
)
def test_analyzer_that_runs_by_default_is_there_and_every_other_can_be_deployed(parameter, names):
    described = TEMPLATE["Parameters"][parameter]
    assert described["Default"] in names
    assert all(re.fullmatch(described["AllowedPattern"], name) for name in names)


@each_function
def test_a_secret_is_in_no_environment(name):
    variables = RESOURCES[name]["Properties"]["Environment"]["Variables"]
    named = {variable for variable in variables if re.search("SECRET|KEY|TOKEN$", variable)} - {
        "SLIDESCORE_GIVE_UP_TOKEN"
    }
    assert all(variable.endswith("_PARAMETER") for variable in named)
    assert {variables[variable]["Ref"] for variable in named} == OWN_PARAMETERS[name]


def test_every_route_is_throttled_by_parameters_and_leaves_no_execution_log():
    (settings,) = RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}
    assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)


def test_failures_of_the_api_itself_are_503():
    answer = RESOURCES["Api"]["Properties"]["GatewayResponses"]["DEFAULT_5XX"]
    assert answer["StatusCode"] == 503
    assert json.loads(answer["ResponseTemplates"]["application/json"])["message"]


def test_the_apis_own_trace_is_off_because_it_would_hold_the_query_string():
    assert RESOURCES["Api"]["Properties"]["TracingEnabled"] is False
    assert RESOURCES["SlideScoreFunction"]["Properties"]["Tracing"] == "Active"


def test_access_log_is_json_without_anything_a_caller_could_put_a_secret_in():
    text = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"]
    line = json.loads(text)
    assert set(line.values()) == {f"$context.{name}" for name in LOGGABLE}
    assert "\n" not in text


def test_timeout_of_an_api_method_is_what_the_function_is_told():
    seconds = TEMPLATE["Parameters"]["ApiTimeoutSeconds"]["AllowedValues"]
    assert {int(key): of["Milliseconds"] for key, of in TEMPLATE["Mappings"]["ApiTimeout"].items()} == {
        s: s * 1000 for s in seconds
    }


@pytest.mark.parametrize("action", ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"])
def test_function_url_has_both_permissions_and_only_when_it_is_enabled(action):
    (permission,) = [of for of in of_type("AWS::Lambda::Permission").values() if of["Properties"]["Action"] == action]
    (url,) = of_type("AWS::Lambda::Url").values()
    assert permission["Condition"] == url["Condition"] == "HasSlideScoreFunctionUrl"
    limit = {"FunctionUrlAuthType": "NONE"} if action.endswith("Url") else {"InvokedViaFunctionUrl": True}
    assert limit.items() <= permission["Properties"].items()


def test_alarms_are_made_only_for_a_topic():
    alarms = of_type("AWS::CloudWatch::Alarm").values()
    assert {alarm["Properties"]["MetricName"] for alarm in alarms} >= {"Errors", "Throttles", "Duration", "Url5xxCount"}
    for alarm in alarms:
        needed = TEMPLATE["Conditions"][alarm["Condition"]].get("Fn::And", [{"Condition": alarm["Condition"]}])
        assert {"Condition": "HasAlarms"} in needed
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopicArn"}]


def test_duration_alarm_is_below_the_timeout():
    timeout_ms = RESOURCES["SlideScoreFunction"]["Properties"]["Timeout"] * 1000
    threshold_ms = RESOURCES["SlideScoreDurationAlarm"]["Properties"]["Threshold"]
    assert 0.8 * timeout_ms < threshold_ms < timeout_ms


def test_each_linter_exception_carries_its_reason():
    skips = [skip for of in RESOURCES.values() for skip in of.get("Metadata", {}).get("checkov", {}).get("skip", [])]
    assert skips
    assert all(len(skip["comment"]) > 20 for skip in skips)
    ignored = re.findall(r"^ +- [EWI]S?\d{4}\b(.*)", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert ignored
    assert all(re.match(r"  # .{20}", rest) for rest in ignored)


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
