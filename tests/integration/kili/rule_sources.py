"""Rules in the stack's SSM, and what a person does in Kili's browser."""

from __future__ import annotations

import uuid

import boto3
import urllib3

_RULES = """
version: 1
rules:
  - id: box-size
    check: size
    parameters: {{max_area: {max_area}}}
    message: A box is too large
    action: {action}
"""


def box_rules_text(action, max_area=0.3):
    """A rules file with a limit for the size of a box."""
    return _RULES.format(max_area=max_area, action=action)


def box_rules(action):
    """Where SSM has such a rules file."""
    return put_rules(box_rules_text(action))


def put_rules(text, source=None):
    """Puts a rules file into SSM, in place of an earlier one or under a new name. Returns where it is."""
    source = source or f"ssm:/annohooks/tests/{uuid.uuid4()}"
    boto3.client("ssm").put_parameter(Name=source.removeprefix("ssm:"), Value=text, Type="String", Overwrite=True)
    return source


def set_issue_status(kili, issue_id, status):
    """Changes an issue as a person does."""
    document = (
        "mutation ($data: IssueData!, $where: IssueWhere!)"
        " { updatePropertiesInIssue(data: $data, where: $where) { id } }"
    )
    reply = urllib3.request(
        "POST",
        kili.endpoint,
        json={"query": document, "variables": {"data": {"status": status}, "where": {"id": issue_id}}},
        headers={"Authorization": f"X-API-Key: {kili.api_key}"},
        retries=False,
    )
    assert "errors" not in reply.json(), reply.data
