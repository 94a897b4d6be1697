"""Constructor parameters from text: what the command line and run folders build things with."""

import ast
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from nashfield.registry import SOLVERS, UnknownNameError, find, suggest
from nashfield.results import NashfieldError, ParameterError

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_MEANING = {
    "integer": "an integer",
    "number": "a number",
    "bool": "true or false",
    "text": "text",
    "tuple": "a list such as 1,2,3",
    "array": "a number, or numbers such as 1,2,3",
}


class Parameter(NamedTuple):
    """One parameter of a constructor.

    Attributes:
        name: as it is written.
        default: its default, or `inspect.Parameter.empty` where it is required.
        kind: "integer", "number", "bool", "text", "tuple", "array", "module" (a part, such as
            another solver, given by its name), or "value" where nothing is known.
        choices: the values that it may take, where they are listed.
        optional: whether None will do.
        part: of a "module", the class that the part must belong to.
    """

    name: str
    default: Any
    kind: str
    choices: tuple[Any, ...] = ()
    optional: bool = False
    part: type | None = None

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty


def parameters_of(cls: Callable) -> list[Parameter]:
    """What `cls(...)` takes, in order.

    Args:
        cls: a class of games or solvers.
    """
    try:
        signature = inspect.signature(cls, eval_str=True)
    except (NameError, SyntaxError, TypeError):
        signature = inspect.signature(cls)
    taken = (
        p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    )
    return [_parameter(cls, p) for p in taken]


def build(cls: Callable, parameters: Mapping[str, Any], name: str) -> Any:
    """Calls `cls` with parameters that may be text.

    Args:
        cls: a class of games or solvers.
        parameters: per name its value, of the right type or as text ("200", "0.1", "true", "1,2");
            parameters of a part follow its name and a dot ("optimizer.learning_rate").
        name: what the user calls `cls`, for messages.

    Returns:
        The game or solver.

    Raises:
        UnknownNameError: a parameter that `cls` does not take.
        ParameterError: a value of the wrong type, a missing one, or one that `cls` refuses.
    """
    known = {p.name: p for p in parameters_of(cls)}
    values = {}
    for key, value in _nested(known, parameters, name).items():
        if key not in known:
            hint = suggest(key, known) if known else "it takes none"
            raise UnknownNameError(f"{name} has no parameter {key!r}; {hint}")
        values[key] = _convert(known[key], value, name)
    missing = [p.name for p in known.values() if p.required and p.name not in values]
    if missing:
        example = f"{missing[0]}=..."
        raise ParameterError(f"{name} needs {' and '.join(missing)}: pass {example}")
    try:
        return cls(**values)
    except NashfieldError:
        raise
    except Exception as error:
        text = ", ".join(f"{key}={value}" for key, value in parameters.items())
        raise ParameterError(f"{name}({text}) cannot be built: {error}") from error


def _nested(
    known: Mapping[str, Parameter], parameters: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """Gathers what is said of one part, {"p": "x", "p.a": 1}, in {"p": {"name", "parameters"}}."""
    plain = {key: value for key, value in parameters.items() if "." not in key}
    for key, value in parameters.items():
        head, dot, rest = key.partition(".")
        if not dot:
            continue
        part = known[head].part if head in known else None
        if part is None:
            parts = [f"{p.name}." for p in known.values() if p.part is not None]
            hint = f"parts are {', '.join(parts)}" if parts else "it has no parts"
            raise UnknownNameError(f"{name} has no part {head!r} to set {rest!r} of; {hint}")
        given = plain.get(head, known[head].default)
        if isinstance(given, eqx.Module):
            given = next(n for n, cls in parts_of(part).items() if cls is type(given))
        if not isinstance(given, str | Mapping):
            names = ", ".join(sorted(parts_of(part)))
            raise ParameterError(
                f"{name}: say which {head} it is before {key}, as {head}=NAME; known are: {names}"
            )
        spec = {"name": given, "parameters": {}} if isinstance(given, str) else given
        plain[head] = {**spec, "parameters": {**spec.get("parameters", {}), rest: value}}
    return plain


def _parameter(cls: Any, parameter: inspect.Parameter) -> Parameter:
    annotation = parameter.annotation
    field = getattr(cls, "__dataclass_fields__", {}).get(parameter.name)
    if field is not None and annotation in (Any, parameter.empty):
        annotation = field.type  # a field with a converter is annotated by what that takes
    members = _members(annotation)
    kinds = [_kind(a) for a in members]
    default = parameter.default
    if field is not None and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    kind = next((k for k in kinds if k not in ("none", "value")), "value")
    if "array" in kinds:
        kind = "array"
    elif "integer" in kinds and "number" in kinds:
        kind = "number"
    elif kind == "value" and default is not parameter.empty:
        kind = _kind_of_value(default)
    part = members[kinds.index("module")] if "module" in kinds else None
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    optional = "none" in kinds or default is None
    return Parameter(parameter.name, default, kind, choices, optional, part)


def _members(annotation: Any) -> tuple[Any, ...]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return typing.get_args(annotation)
    return (annotation,)


def _kind(annotation: Any) -> str:
    plain = {bool: "bool", int: "integer", float: "number", str: "text", type(None): "none"}
    if isinstance(annotation, type) and annotation in plain:
        return plain[annotation]
    origin = typing.get_origin(annotation) or annotation
    if origin in (tuple, list):
        return "tuple"
    if origin is typing.Literal:
        return _kind_of_value(typing.get_args(annotation)[0])
    shape = getattr(annotation, "dim_str", None)  # of jaxtyping
    if shape is not None:
        return "array" if shape.strip() else "number"
    if isinstance(annotation, type) and issubclass(annotation, eqx.Module):
        return "module"
    return "array" if annotation is np.ndarray else "value"


def _kind_of_value(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__jax_array__"):
        return "array" if np.ndim(value) else "number"
    for kind, name in ((bool, "bool"), (int, "integer"), (float, "number"), (str, "text")):
        if isinstance(value, kind):
            return name
    if isinstance(value, tuple | list):
        return "tuple"
    return "module" if isinstance(value, eqx.Module) else "value"


def _convert(parameter: Parameter, value: Any, name: str) -> Any:
    if parameter.optional and (value is None or str(value).lower() == "none"):
        return None
    if parameter.part is not None:
        return _part(parameter, parameter.part, value, name)
    try:
        result = _CONVERTERS.get(parameter.kind, lambda x: x)(value)
    except (ValueError, TypeError, SyntaxError, OverflowError):
        meaning = _MEANING[parameter.kind]
        text = f"{parameter.name} of {name} must be {meaning}, not {value!r}"
        raise ParameterError(text) from None
    if parameter.choices and result not in parameter.choices:
        listed = ", ".join(map(str, parameter.choices))
        raise ParameterError(f"{parameter.name} of {name} must be one of {listed}, not {value!r}")
    return result


def _part(parameter: Parameter, part: type, value: Any, name: str) -> Any:
    """A part by its name, or by {"name": ..., "parameters": {...}}."""
    if isinstance(value, part):
        return value
    known = parts_of(part)
    value = {"name": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping) or value.get("name") not in known:
        wrong = value.get("name") if isinstance(value, Mapping) else value
        hint = suggest(str(wrong), known)
        raise UnknownNameError(f"{parameter.name} of {name} cannot be {wrong!r}; {hint}")
    return build(known[value["name"]], value.get("parameters", {}), value["name"])


def parts_of(part: type) -> dict[str, type]:
    """The library's concrete classes that derive from `part`, by name ("exact-best-response")."""
    solvers = {name: find(SOLVERS, name, "solver") for name in SOLVERS}
    known = {name: cls for name, cls in solvers.items() if issubclass(cls, part)}
    waiting = [part]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        ours = cls.__module__.startswith("nashfield.")
        if ours and not inspect.isabstract(cls) and cls not in known.values():
            known[re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()] = cls
    return known


def _integer(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(value)
    return int(value)


def _number(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        raise TypeError(value)
    if isinstance(value, str):
        return float(value)
    if np.ndim(value) or not (isinstance(value, int | float) or hasattr(value, "dtype")):
        raise TypeError(value)
    return value


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise TypeError(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _tuple(value: Any) -> tuple:
    if isinstance(value, str):
        value = ast.literal_eval(f"({value},)")
        if len(value) == 1 and isinstance(value[0], tuple | list):
            value = value[0]
    if not isinstance(value, tuple | list):
        raise TypeError(value)
    return tuple(tuple(v) if isinstance(v, list) else v for v in value)


def _array(value: Any) -> Any:
    if isinstance(value, str):
        value = _tuple(value)
        value = value[0] if len(value) == 1 else value
    if isinstance(value, bool):
        raise TypeError(value)
    return value if hasattr(value, "dtype") else np.asarray(value, dtype=float)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "bool": _bool,
    "text": _text,
    "tuple": _tuple,
    "array": _array,
}
