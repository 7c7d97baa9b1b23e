"""A team's plugin as it would be uploaded to Kili: at most one OBJECT_A, and no box over a third of the picture."""

from kili.plugins import PluginCore

MOST = 1
LARGEST = 1 / 3


def too_many(label: dict) -> list[dict]:
    count = label["search"]["numberOfAnnotationsByObject"].get("JOB_0.OBJECT_A", 0)
    return [{"text": f"{count} objects of category A, but {MOST} is allowed", "mid": None}] if count > MOST else []


def too_large(json_response: dict) -> list[dict]:
    issues = []
    for annotation in json_response["JOB_0"]["annotations"]:
        corners = annotation["boundingPoly"][0]["normalizedVertices"]
        xs, ys = [corner["x"] for corner in corners], [corner["y"] for corner in corners]
        if (max(xs) - min(xs)) * (max(ys) - min(ys)) > LARGEST:
            issues.append({"text": "This box is too large", "mid": annotation["mid"]})
    return issues


class PluginHandler(PluginCore):
    def on_submit(self, label: dict, asset_id: str) -> None:
        self.logger.info("checking a label")
        (stored,) = self.kili.labels(
            project_id=self.project_id, asset_id=asset_id, fields=["jsonResponse"], disable_tqdm=True
        )
        issues = too_many(label) + too_large(stored["jsonResponse"])
        for issue in issues:
            self.kili.create_issues(
                project_id=self.project_id,
                label_id_array=[label["id"]],
                text_array=[issue["text"]],
                object_mid_array=[issue["mid"]],
            )
        if issues:
            self.kili.send_back_to_queue(asset_ids=[asset_id])

    def on_review(self, label: dict, asset_id: str) -> None:
        metadata = {"reviewed": label["id"], "objects": label["numberOfAnnotations"]}
        self.kili.update_properties_in_assets(asset_ids=[asset_id], json_metadatas=[metadata])
