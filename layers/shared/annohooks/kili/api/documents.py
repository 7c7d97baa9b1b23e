"""The GraphQL documents sent to Kili, with the operation names and the alias `data` of Kili's SDK.

Source: the requests of the package `kili` 26.2.4; tests/contract/kili compares them.
"""

from __future__ import annotations

from annohooks.kili.api import llm_labels

_LABEL_STATE = """
    id labelType assetId author { id } isLatestLabelForUser isSentBackToQueue createdAt
    labelOf { status labels { id labelType author { id } createdAt } }"""
_LABEL_FIELDS = f"{_LABEL_STATE} secondsToLabel modelName jsonResponse jsonResponseUrl"
_PROJECT_FIELDS = "id inputType jsonInterface"
_OUTCOME_FIELDS = (
    "succeeded { assetId externalId } declined { assetId externalId } failed { assetId externalId details }"
)


def listing(field: str, where: str, fields: str) -> str:
    """The document that reads one page of a root field. where: the type of its filter."""
    return (
        f"query {field}($where: {where}!, $first: PageSize!, $skip: Int!) {{\n"
        f"  data: {field}(where: $where, first: $first, skip: $skip) {{ {fields} }}\n}}"
    )


def counting(field: str, where: str) -> str:
    """The document that counts the rows that a filter selects."""
    return f"query {field}($where: {where}!) {{\n  data: {field}(where: $where)\n}}"


LABEL = listing("labels", "LabelWhere", _LABEL_FIELDS)
LABEL_STATE = listing("labels", "LabelWhere", _LABEL_STATE)
LABEL_AND_PROJECT = f"""query labels($where: LabelWhere!, $project: ProjectWhere!, $first: PageSize!, $skip: Int!) {{
  data: labels(where: $where, first: $first, skip: $skip) {{ {_LABEL_FIELDS} }}
  projects(where: $project, first: $first, skip: $skip) {{ {_PROJECT_FIELDS} }}
}}"""
ANNOTATIONS = listing("labels", "LabelWhere", f"id {llm_labels.FIELDS}")
PROJECT = listing("projects", "ProjectWhere", _PROJECT_FIELDS)
SIZE = listing("assets", "AssetWhere", "id resolution { width height }")
ISSUES = listing("issues", "IssueWhere", "id status objectMid comments { text }")
EVENTS = """query Events($where: EventsWhere!, $pagination: EventPagination!, $order: Order) {
  data: events(where: $where, pagination: $pagination, order: $order) {
    createdAt event id organizationId payload projectId userId
  }
}"""
VIEWER = "query viewer { data: viewer { id } }"

CREATE_ISSUES = """mutation createIssues($issues: [IssueToCreate!]!, $where: AssetWhere!) {
  data: createIssues(issues: $issues, where: $where) { id }
}"""
UPDATE_ISSUE = """mutation UpdatePropertiesInIssue($data: IssueData!, $where: IssueWhere!) {
  data: updatePropertiesInIssue(data: $data, where: $where) { id }
}"""
SEND_BACK = f"mutation($where: AssetWhere!) {{ data: sendAssetsBackToQueue(where: $where) {{ {_OUTCOME_FIELDS} }} }}"
SEND_BACK_BEFORE_26_2_1 = "mutation($where: AssetWhere!) { data: sendBackAssetsToQueue(where: $where) { id } }"
ADD_TO_REVIEW = f"mutation($where: AssetWhere!) {{ data: addAssetsToReview(where: $where) {{ {_OUTCOME_FIELDS} }} }}"
UPDATE_ASSETS = """mutation($whereArray: [AssetWhere!]!, $dataArray: [AssetData!]!) {
  data: updatePropertiesInAssets(where: $whereArray, data: $dataArray) { id }
}"""
APPEND_LABELS = """mutation appendManyLabels($data: AppendManyLabelsData!, $where: AssetWhere!) {
  data: appendManyLabels(data: $data, where: $where) { id }
}"""


def _webhook(field: str) -> str:
    return f"""mutation(
  $eventMatcher: [String!], $handlerTypes: [PluginHandlerType!], $pluginName: String!, $webhookUrl: String!
  $header: String
) {{
  data: {field}(data: {{
    eventMatcher: $eventMatcher, handlerTypes: $handlerTypes, header: $header, pluginName: $pluginName
    webhookUrl: $webhookUrl
  }})
}}"""


CREATE_WEBHOOK = _webhook("createWebhook")
UPDATE_WEBHOOK = _webhook("updateWebhook")
ACTIVATE = """mutation($pluginName: String!, $projectId: ID!) {
  data: activatePluginOnProject(where: { pluginName: $pluginName, projectId: $projectId })
}"""
