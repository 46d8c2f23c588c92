"""Examples for the OpenAPI document, put together from those of the fields."""

from collections.abc import Mapping
from typing import Any, Final

_UUID: Final = "3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"
_BY_FORMAT: Final = {"uuid": _UUID, "date-time": "2026-05-03T14:07:21.120453Z"}
_BY_TYPE: Final[Mapping[str, Any]] = {
    "string": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "integer": 1,
    "boolean": True,
    "null": None,
}


def add_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Give the operation's request and its good answer an example each."""
    for body in (operation.get("requestBody"), *_good_answers(operation)):
        for content in (body or {}).get("content", {}).values():
            if content.get("schema") and "example" not in content:
                content["example"] = example_of(content["schema"], schemas)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that fits a schema; `schemas` are those it may refer to, by name."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example_of(schema[choice][0], schemas)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {}).items()
            return {name: example_of(field, schemas) for name, field in fields}
        case "array":
            return [example_of(schema["items"], schemas)]
        case kind:
            return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE[str(kind)])


def _good_answers(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [answer for status, answer in operation["responses"].items() if status[0] == "2"]
