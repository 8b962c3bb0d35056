"""The published schemas, by name. Each is generated on request; none is stored beside its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qs.base.errors import UserError
from qs.base.names import TYPE_ALIASES, nearest
from qs.schema.making import (
    DIALECT,
    Schema,
    any_case,
    closed,
    in_words,
    of_model,
    one_line_or_list,
    with_aliases,
)


def schema_of(name: str) -> Schema:
    """The JSON schema of this name; if there is none, UserError suggests the nearest."""
    if name not in PUBLISHED:
        near = nearest(name, PUBLISHED)
        meant = f"; did you mean {near!r}?" if near else ""
        raise UserError(f"there is no schema {name!r}; known: {', '.join(PUBLISHED)}{meant}")
    made = PUBLISHED[name]()
    return {"$schema": DIALECT, "$id": file_of(name), **made}


def file_of(name: str) -> str:
    return f"{name}.schema.json"


def qs_config() -> Schema:
    """What generate_qs_config returns. Unknown keys are refused, as by the loader."""
    from qs.config.qs_config import Batching, QsConfig, Samples, Scenario, WarmUp

    schema = of_model(QsConfig, (Batching, Samples, Scenario, WarmUp))
    closed(schema)
    return schema | {"title": "QS config"}


def workload() -> Schema:
    """workloads/<task>.json. Unknown keys are allowed: the backend gets them, with a warning."""
    from qs.config.workload import Workload

    schema = of_model(Workload)
    schema["required"] = []  # by default the model is named like the task
    del schema["properties"]["task"]
    with_aliases(schema, Workload.ALIASES)
    return schema | {"title": "Workload"}


def model_info() -> Schema:
    """model_zoo/<model>.json. The keys that describe inputs and outputs have several published
    spellings.
    """
    from qs.config.model_info import FRAMEWORKS, TYPES, ModelInfo
    from qs.config.sources import BuildSource, PypiSource, UrlSource

    schema = of_model(ModelInfo, (BuildSource, PypiSource, UrlSource))
    properties = schema["properties"]
    names = {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True},
            {"type": "null"},
        ],
        "description": "names, as a list or one comma-separated string",
    }
    shape = {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 1}],
        "items": {"type": "integer", "minimum": 0},
    }
    bounds = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}}
    properties |= {
        "inputs": names,
        "outputs": names,
        "input_shape": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": shape,
            "description": "input name -> shape at batch 1; batch b multiplies the first dimension",
        },
        "input_type": one_line_or_list(any_case((*TYPES, *TYPE_ALIASES)))
        | {"description": f"one type per input, or one for all, of {', '.join(TYPES)}"},
        "input_range": {
            "anyOf": [{"type": "object", "additionalProperties": bounds}, {"type": "null"}],
            "description": "input name -> [low, high), of generated values",
        },
        "framework": {"type": "string", "pattern": f"^({any_case(FRAMEWORKS)})$"},
        "framework_version": {"type": ["string", "number", "null"]},
        "dataset_name": {"anyOf": [properties["dataset_name"], {"const": ""}]},
        "sources": {"anyOf": [{**properties["sources"], "minItems": 1}, {"type": "null"}]},
    }
    for key in ("inputs", "outputs", "sources"):
        properties[key].pop("default", None)
    in_words(schema, ModelInfo.ALLOWED)
    schema["required"] += ["input_shape", "input_type"]
    with_aliases(schema, ModelInfo.ALIASES)
    return schema | {"title": "Model info"}


def interact() -> Schema:
    """backends/XXX/XXX.json, or what get_interact_profile returns: questions, answers or
    nothing.
    """
    from qs.config.interact import DIALOGS, Question

    schema = of_model(Question)
    schema["required"].remove("type")  # the dialog implies it
    options = schema["properties"]["options"]
    if_radio = {"properties": {"dialog_type": {"const": DIALOGS[1]}}, "required": ["dialog_type"]}
    schema["allOf"] = [
        {
            "if": if_radio,
            "then": {
                "properties": {"options": {"type": "array", "minItems": 1}},
                "required": ["options"],
            },
        },
        *(
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": {"properties": {"default": {"anyOf": [*forms, {"type": "null"}]}}},
            }
            for kind, forms in _FORMS.items()
        ),
    ]
    options["description"] = "the choices of a Radiolist"
    answers = {"type": "object", "not": {"required": ["dialog_type"]}}
    question = {"$ref": "#/$defs/Question"}
    return {
        "title": "Interact profile",
        "description": "questions to the user, in order; or answers; or nothing",
        "anyOf": [{"type": "array", "items": question}, question, answers, {"type": "null"}],
        "$defs": {"Question": schema},
    }


# Accepted forms of a default, by type; strings are read as the other types.
_FORMS: dict[str, list[dict[str, Any]]] = {
    "bool": [
        {"type": "boolean"},
        {"type": "string", "pattern": rf"^\s*({any_case(('true', 'yes', 'false', 'no'))})\s*$"},
    ],
    "int": [{"type": "integer"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9]+(_[0-9]+)*\s*$"}],
    "float": [
        {"type": "number"},
        {"type": "string", "pattern": r"^\s*[+-]?[0-9_.]+([eE][+-]?[0-9]+)?\s*$"},
    ],
    "str": [{"type": "string"}, {"type": "number"}],
}


def result() -> Schema:
    """result-<precision>.json. Further keys are allowed: data sets name their own metrics."""
    from qs.result.result import Result

    return of_model(Result) | {"title": "Result"}


PUBLISHED: dict[str, Callable[[], Schema]] = {
    "qs_config": qs_config,
    "workload": workload,
    "model_info": model_info,
    "interact": interact,
    "result": result,
}
