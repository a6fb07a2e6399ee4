"""JSON that childflow has printed, held to the schemas of docs/schema."""

import functools
import json
import os
import pathlib

import pytest

jsonschema = pytest.importorskip("jsonschema", reason="no python3-jsonschema")
PLACE = pathlib.Path(os.environ.get("TOP_SRCDIR", pathlib.Path(__file__).parents[2])) / "docs/schema"


def strict(schema):
    """The same, and there are no fields but those it names."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@functools.cache
def validator(name):
    schema = json.loads((PLACE / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(strict(schema))


def hold(name, text):
    """The JSON, after it was compared with the schema of that name."""
    value = json.loads(text)
    for fault in validator(name).iter_errors(value):
        pytest.fail(f"{fault.json_path}: {fault.message}")
    return value
