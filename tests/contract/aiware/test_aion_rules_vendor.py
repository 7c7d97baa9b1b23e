"""Our own rules of AION agree with the vendor's schemas: on its examples, and on each with something changed."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from schemas import CONTRACTS, FOLDER, examples, flaws

from local.simulators.aiware.aion import judged, problems

EXAMPLES = {str(path.relative_to(FOLDER)): document for path, document in examples()}
VALUES = (None, True, -1, 0, 1.5, "x", [], {}, ["x"], {"confidence": 2})
BEST_PATH = "needs bestPath on exactly one word"  # a keyword of the vendor's own, which only its validator knows
NO_SHAPE = "is not an object"  # v1.2 does not say what an emotion is


def broken(document: Any) -> list[str]:
    """What v1.2 says against a document, by our rules."""
    return [str(problem) for problem in judged(document) if problem.rule == "v1.2"]


def is_flawed(document: Any) -> bool:
    return any(flaws(document))


def changed(document: Any) -> Iterator[Any]:
    """The document with something in it taken away, added, or replaced by something else."""
    for *above, last in places(document):
        for value in VALUES:
            yield with_(document, above, lambda place, last=last, value=value: place.__setitem__(last, value))
        yield with_(document, above, lambda place, last=last: place.__delitem__(last))
        yield with_(document, [*above, last], lambda place: isinstance(place, dict) and place.update(unheard_of=1))


def with_(document: Any, path: list[Any], change: Any) -> Any:
    document = copy.deepcopy(document)
    place = document
    for key in path:
        place = place[key]
    change(place)
    return document


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def test_the_vendors_examples_are_all_there():
    assert len(EXAMPLES) == 183
    assert Counter("invalid-examples" in name for name in EXAMPLES) == {False: 69, True: 114}


@pytest.mark.parametrize("name", EXAMPLES)
def test_rules_and_schemas_agree_on_an_example(name):
    document = EXAMPLES[name]
    assert bool(broken(document)) == is_flawed(document) or any(BEST_PATH in flaw for flaw in broken(document))


@pytest.mark.parametrize("name", EXAMPLES)
def test_rules_agree_with_the_vendor_on_an_example_of_what_it_promises(name):
    """An example of a contract that it does not name is one of a document without a promise, which may be valid."""
    contract, folder, _ = name.split("/")
    document = EXAMPLES[name]
    if contract == "aion" or contract in document.get("validationContracts", ()):
        assert bool(broken(document)) == (folder == "invalid-examples" or name == DISPUTED)
    else:
        assert folder == "invalid-examples"


DISPUTED = "aion/examples/documentation-sample.json"
"""Valid for AION's schema, though it promises text and is about objects, which the schema of text does not allow."""


@pytest.mark.parametrize("contract", ["aion", *CONTRACTS])
def test_rules_and_schemas_agree_on_whatever_is_changed_in_an_example(contract):
    compared, disagreed = Counter(), []
    for name, document in EXAMPLES.items():
        if name.startswith(f"{contract}/examples/"):
            for other in changed(document):
                ours, theirs = broken(other), is_flawed(other)
                compared[theirs] += 1
                if bool(ours) != theirs and not all(BEST_PATH in flaw or NO_SHAPE in flaw for flaw in ours):
                    disagreed.append((other, ours, theirs))
    assert disagreed == []
    assert min(compared[False], compared[True]) >= 5


def test_most_valid_examples_keep_the_rules_that_no_schema_of_v1_2_states_too():
    valid = {name: document for name, document in EXAMPLES.items() if "/examples/" in name}
    assert sum(problems(document) == [] for document in valid.values()) == 50
