"""The webhook of Kili's page on webhooks, rewritten: FastAPI, the SDK, and a plugin with two rules.

As on the page, `Kili()` is at the top of the module and checks the key, its expiry and the release of the API, and the
webhook requires no secret. Mangum replaces uvicorn, as it would when the application is deployed behind API Gateway.
"""

from fastapi import FastAPI
from kili.client import Kili
from kili.plugins import PluginCore
from mangum import Mangum

kili = Kili()
app = FastAPI()
handler = Mangum(app, lifespan="off")


def area(vertices):
    xs, ys = [vertex["x"] for vertex in vertices], [vertex["y"] for vertex in vertices]
    return (max(xs) - min(xs)) * (max(ys) - min(ys))


class PluginHandler(PluginCore):
    """At most one box of OBJECT_A, none larger than 0.33 of the picture."""

    def too_many(self, label):
        for name, number in label["search"]["numberOfAnnotationsByObject"].items():
            if name == "JOB_0.OBJECT_A" and number > 1:
                yield f"There are too many boxes of OBJECT_A: {number}, and only 1 is accepted", None

    def too_large(self, asset_id):
        labels = self.kili.labels(
            asset_id=asset_id, project_id=self.project_id, fields=["jsonResponse"], disable_tqdm=True
        )
        for annotation in labels[0]["jsonResponse"]["JOB_0"]["annotations"]:
            if area(annotation["boundingPoly"][0]["normalizedVertices"]) > 0.33:
                yield "The box is too large", annotation["mid"]

    def on_submit(self, label, asset_id):
        self.logger.info("On submit called")
        issues = [*self.too_many(label), *self.too_large(asset_id)]
        for text, mid in issues:
            self.kili.create_issues(
                label_id_array=[label["id"]], project_id=self.project_id, text_array=[text], object_mid_array=[mid]
            )
        if issues:
            self.kili.send_back_to_queue(asset_ids=[asset_id])


@app.post("/kili")
def webhook(body: dict):
    if body["eventType"] == "onSubmit":
        plugin = PluginHandler(kili, body["logPayload"]["projectId"])
        plugin.on_submit(body["payload"]["label"], body["payload"]["asset_id"])
