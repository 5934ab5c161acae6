"""An API's description as an OpenAPI 3.1 document, made from a table of calls and from the types that the code uses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

TEXT = "text/plain"
"""Stands for an answer that is text and no JSON."""

BYTES = "application/octet-stream"
"""Stands for a body that is bytes and no JSON."""

NOTHING = None
"""Stands for an answer without a body."""

_SCHEMAS = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """The one shape of every error: a code for programs and a sentence for people."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query string or a header, of the JSON type `kind`."""

    name: str
    description: str
    kind: str = "string"
    where: str = "query"
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one path.

    `answers` maps each status of success to the type of its JSON, to several types in a tuple, to `TEXT` or to
    `NOTHING`; `errors` maps each other status to the codes that its JSON may have. `body` is the type of the request's
    JSON, or `BYTES`. `auth` names the token that the call needs; empty: none.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, Any]
    errors: Mapping[int, Sequence[str]] = field(default_factory=dict)
    body: Any = None
    parameters: Sequence[Parameter] = ()
    auth: str = ""
    auth_optional: bool = False


def document(title: str, version: str, description: str, calls: Sequence[Call], tokens: Mapping[str, str]) -> Any:
    """The document, ready for JSON.

    Args:
        title: the API's name.
        version: the program's.
        description: a sentence about the API.
        calls: every call that is served.
        tokens: what each token is, by the name that `Call.auth` has for it.
    """
    shapes = list(dict.fromkeys(_shapes(calls)))
    references, components = msgspec.json.schema_components(shapes, ref_template=_SCHEMAS)
    known = dict(zip(shapes, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                name: {"type": "http", "scheme": "bearer", "description": text} for name, text in tokens.items()
            },
        },
    }


def _shapes(calls: Sequence[Call]) -> list[Any]:
    answers = [shape for call in calls for answer in call.answers.values() for shape in _alternatives(answer)]
    bodies = [call.body for call in calls if call.body is not None]
    return [shape for shape in (Problem, *answers, *bodies) if shape not in (TEXT, BYTES, NOTHING)]


def _alternatives(answer: Any) -> tuple[Any, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def _operation(call: Call, known: Mapping[Any, Any]) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", call.path)
    operation: dict[str, Any] = {
        "summary": call.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *(_parameter(each) for each in call.parameters),
        ],
        "responses": {
            **{str(status): _answer(status, shape, known) for status, shape in call.answers.items()},
            **{str(status): _error(status, codes) for status, codes in sorted(call.errors.items())},
        },
    }
    if call.body == BYTES:
        operation["requestBody"] = {"content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}
    elif call.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": known[call.body]}}}
    if call.auth:
        operation["security"] = [{call.auth: []}, *([{}] if call.auth_optional else [])]
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": parameter.kind}
    if parameter.kind == "integer":
        kind["minimum"] = 0
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "schema": {"type": "array", "items": kind} if parameter.repeated else kind,
    }


def _answer(status: int, answer: Any, known: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if answer == TEXT:
        described["content"] = {TEXT: {"schema": {"type": "string"}}}
    elif answer is not NOTHING:
        schemas = [known[shape] for shape in _alternatives(answer)]
        described["content"] = {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
    return described


def _error(status: int, codes: Sequence[str]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": _SCHEMAS.format(name="Problem")}],
        "properties": {"status": {"enum": sorted(codes)}},
    }
    return {"description": HTTPStatus(status).phrase, "content": {"application/json": {"schema": schema}}}
