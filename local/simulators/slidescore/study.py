"""The study of the simulated server: its questions, and the answers that UploadResults stores."""

from __future__ import annotations

from collections.abc import Mapping

STUDY_ID = 1
CASE_ID = 1
IMAGE = ("imageID", "imageName", "user")
TMA = ("tmaRow", "tmaCol", "tmaSampleID")
ANSWER = ("question", "answer")
ROWS: dict[int, tuple[str, ...]] = {  # columns of a result row by their number; source: toRow of slidescore-sdk
    len(columns): columns
    for columns in (
        ("caseName", "user", *ANSWER),
        (*IMAGE, *ANSWER),
        ("caseName", *IMAGE, *ANSWER),
        (*IMAGE, *TMA, *ANSWER),
        ("caseName", *IMAGE, *TMA, *ANSWER),
    )
}
Score = dict[str, object]


class Study:
    """questions: type by name. scores: the stored answers, as Scores returns them."""

    def __init__(self) -> None:
        self.questions = {"ROI": "AnnoShapes", "Cells": "AnnoPoints", "Comment": "FreeText"}
        self.scores: list[Score] = []

    def upload_results(self, text: str) -> dict[str, object]:
        """Stores tab-separated rows, all or none. The first line is a header and is ignored."""
        rows: list[Score] = []
        for line in text.split("\n")[1:]:
            cells = line.split("\t")
            columns = ROWS.get(len(cells))
            if columns is None:
                return {"success": False, "log": f"A row has {len(cells)} columns."}
            row: Score = dict(zip(columns, cells, strict=True))
            if row["question"] not in self.questions:
                return {"success": False, "log": f"Unknown question {row['question']}."}
            try:
                row |= {key: int(str(row[key])) for key in ("imageID", "tmaRow", "tmaCol") if key in row}
            except ValueError:
                return {"success": False, "log": "imageID, tmaRow and tmaCol must be numbers."}
            rows.append({"id": len(self.scores) + len(rows) + 1, "imageID": None, "imageName": None} | row)
        self.scores += rows
        return {"success": True}

    def matching(self, filters: Mapping[str, str]) -> list[Score]:
        """The scores that match all of the given filters: question, email, imageid."""
        columns = {"question": "question", "email": "user", "imageid": "imageID"}
        values = {columns[key]: value for key, value in filters.items() if key in columns}
        return [row for row in self.scores if all(str(row[column]) == value for column, value in values.items())]
