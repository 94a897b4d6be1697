"""Constructor parameters from text: what the command line and run folders build things with."""

import ast
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from nashfield.registry import UnknownNameError, suggest
from nashfield.results import NashfieldError, ParameterError

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_A = {"integer": "an integer", "array": "an array of numbers", "module": "a solver's name"}


class Parameter(NamedTuple):
    """One parameter of a constructor.

    Attributes:
        name: as it is written.
        default: its default, or `inspect.Parameter.empty` where it is required.
        type: "integer", "number", "bool", "text", "tuple", "array", "module" (another solver), or
            "value" where nothing is known.
        choices: the values that it may take, where they are listed.
        optional: whether None will do.
    """

    name: str
    default: Any
    type: str
    choices: tuple[Any, ...] = ()
    optional: bool = False

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


def build(
    cls: Callable,
    parameters: Mapping[str, Any],
    name: str,
    *,
    load_module: Callable[[Any], Any] | None = None,
) -> Any:
    """Calls `cls` with parameters that may be text.

    Args:
        cls: a class of games or solvers.
        parameters: per name its value, of the right type or as text ("200", "0.1", "true", "1,2").
        name: what the user calls `cls`, for messages.
        load_module: makes a solver of the name of one, for solvers that hold another.

    Returns:
        The game or solver.

    Raises:
        UnknownNameError: a parameter that `cls` does not take.
        ParameterError: a value of the wrong type, a missing one, or one that `cls` refuses.
    """
    known = {p.name: p for p in parameters_of(cls)}
    values = {}
    for key, value in parameters.items():
        if key not in known:
            hint = suggest(key, known) if known else "it takes none"
            raise UnknownNameError(f"{name} has no parameter {key!r}; {hint}")
        values[key] = _convert(known[key], value, name, load_module)
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


def _parameter(cls: Any, parameter: inspect.Parameter) -> Parameter:
    annotation = parameter.annotation
    field = getattr(cls, "__dataclass_fields__", {}).get(parameter.name)
    if field is not None and annotation in (Any, parameter.empty):
        annotation = field.type  # a field with a converter is annotated by what that takes
    kinds = [_kind(a) for a in _members(annotation)]
    default = parameter.default
    kind = next((k for k in kinds if k not in ("none", "value")), "value")
    if kind == "value" and default is not parameter.empty:
        kind = _kind_of_value(default)
    if set(kinds) >= {"integer", "number"}:
        kind = "number"
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    return Parameter(parameter.name, default, kind, choices, "none" in kinds or default is None)


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


def _convert(parameter: Parameter, value: Any, name: str, load_module: Callable | None) -> Any:
    if parameter.optional and (value is None or str(value).lower() == "none"):
        return None
    try:
        if parameter.type == "module" and not isinstance(value, eqx.Module):
            if load_module is None:
                raise ValueError(value)
            result = load_module(value)
        else:
            result = _CONVERTERS.get(parameter.type, lambda x: x)(value)
    except (ValueError, TypeError, SyntaxError, OverflowError):
        kind = _A.get(parameter.type, f"a {parameter.type}")
        hint = {"bool": " (true or false)", "tuple": " of numbers, such as 1,2,3"}
        raise ParameterError(
            f"{parameter.name} of {name} must be {kind}{hint.get(parameter.type, '')}, "
            f"not {value!r}"
        ) from None
    if parameter.choices and result not in parameter.choices:
        listed = ", ".join(map(str, parameter.choices))
        raise ParameterError(f"{parameter.name} of {name} must be one of {listed}, not {value!r}")
    return result


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
    if np.ndim(value):
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
        np.asarray(value, dtype=float)
    if not isinstance(value, tuple | list):
        raise TypeError(value)
    return tuple(tuple(v) if isinstance(v, list) else v for v in value)


def _array(value: Any) -> Any:
    if isinstance(value, str):
        value = _tuple(value)
    return np.asarray(value, dtype=float) if isinstance(value, tuple | list) else value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "bool": _bool,
    "text": _text,
    "tuple": _tuple,
    "array": _array,
}
