"""Where the rules, the keys and the table are, and what happens when they are not there."""

from __future__ import annotations

import boto3
import pytest
from rule_sources import box_rules, box_rules_text, put_rules

from annohooks.core import auth
from annohooks.core.errors import SettingsError
from local.stack import BUCKET


class TestRules:
    def test_rules_in_ssm_are_read_again_after_their_age(self, webhook, submitted):
        source = box_rules("log")
        function = webhook(KILI_RULES=source, KILI_RULES_MAX_AGE_S="0")
        assert function.check(submitted()[1])["findings"]
        put_rules(box_rules_text("log", max_area=0.99), source)
        assert "findings" not in function.check(submitted()[1])

    def test_rules_may_be_in_s3(self, webhook, submitted):
        boto3.client("s3").put_object(Bucket=BUCKET, Key="team/rules.yaml", Body=box_rules_text("log").encode())
        assert webhook(KILI_RULES=f"s3://{BUCKET}/team/rules.yaml").check(submitted()[1])["findings"]

    def test_the_last_valid_rules_apply_while_the_source_is_wrong(self, webhook, submitted):
        source = box_rules("log")
        function = webhook(KILI_RULES=source, KILI_RULES_MAX_AGE_S="0")
        function.check(submitted()[1])
        put_rules("rules: [", source)
        assert function.check(submitted()[1])["findings"]

    @pytest.mark.parametrize("source", ["ssm:/annohooks/tests/none", f"s3://{BUCKET}/none", "s3://no-such-bucket/x"])
    def test_without_its_rules_the_webhook_is_unavailable(self, webhook, kili, submitted, source):
        answer = webhook(KILI_RULES=source).post(kili.event(submitted()[1]))
        assert (answer.status, source in answer.json["error"]) == (503, True)

    def test_wrong_rules_outside_the_package_are_unavailable_and_the_log_has_the_lines(
        self, webhook, kili, submitted, caplog
    ):
        source = put_rules("version: 1\nrules:\n  - id: Bad Id\n")
        answer = webhook(KILI_RULES=source).post(kili.event(submitted()[1]))
        assert (answer.status, "log" in answer.json["error"]) == (503, True)
        (line,) = [vars(record) for record in caplog.records if record.message == "the rules cannot be used"]
        assert ":3:" in line["reason"]

    def test_wrong_rules_in_the_package_end_the_function_when_it_starts(self, webhook, tmp_path):
        (tmp_path / "rules.yaml").write_text("version: 1\nrules:\n  - id: Bad Id\n")
        with pytest.raises(SettingsError, match=r"rules\.yaml:3"):
            webhook(KILI_RULES=str(tmp_path / "rules.yaml"))


class TestWhatElseIsNeeded:
    def test_without_an_api_key_the_webhook_is_unavailable(self, webhook, kili, submitted):
        answer = webhook(KILI_API_KEY_PARAMETER="/annohooks/tests/none").post(kili.event(submitted()[1]))
        assert (answer.status, answer.json) == (503, {"error": "The Kili API key of this webhook is not configured."})

    def test_without_ssm_the_webhook_is_unavailable(self, function, kili, submitted, monkeypatch):
        auth.ssm.cache_clear()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
        assert function.post(kili.event(submitted()[1])).status == 503
        auth.ssm.cache_clear()

    def test_without_its_table_the_webhook_is_unavailable_and_writes_nothing(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        answer = webhook(KILI_TABLE="there-is-no-such-table").post(kili.event(label_id))
        assert (answer.status, "table" in answer.json["error"]) == (503, True)
        assert raised(asset_id) == []

    def test_a_label_on_a_server_that_is_not_allowed_is_forbidden(self, webhook, kili, submitted):
        function = webhook(KILI_STORAGE_ORIGINS="https://storage.example.org")
        assert function.post(kili.event(submitted()[1])).status == 403
        assert "storage" not in kili.operations()
