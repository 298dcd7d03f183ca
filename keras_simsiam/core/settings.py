"""Settings declared once, as fields of frozen dataclasses: flags, --help, range checks and flags.txt follow from that.

    @dataclasses.dataclass(frozen=True)
    class Crop(settings.Checked):
        side: int = settings.setting(224, "Side of a view in pixels.", low=1)

A room declares its settings; a command inherits from those of several rooms and has them all, flat.
"""

import dataclasses
import inspect
import math
import sys
import types
import typing
from collections.abc import Iterable

from absl import flags

from keras_simsiam.core.errors import UserError, as_flags

T = typing.TypeVar("T")
REQUIRED = dataclasses.MISSING
_FIELDS = "__dataclass_fields__"
_FORMER = "former names"  # the heading of --helpfull under which they stand
_COMMANDS = "keras_simsiam.commands."  # what the names of the modules begin with that are commands


class FlagError(UserError):
    """A flag that does not exist, is missing, or has a value that is not of its kind.

    Attributes:
        unknown: the name of a flag that does not exist; None of another mistake.
    """

    def __init__(self, message: str, unknown: str | None = None):
        super().__init__(message)
        self.unknown = unknown


def setting(
    default: typing.Any,
    help: str,
    *,
    choices: Iterable[str] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    formerly: Iterable[str] = (),
    earlier: Iterable[str] = (),
) -> typing.Any:
    """A field of a frozen dataclass of settings, of type bool, int, float or str, `... | None` or `tuple[..., ...]`.

    Args:
        default: the value where none is given; REQUIRED: one must be given.
        help: what --help says of it; it names other settings in backticks, as messages do.
        choices: the strings that it may be, or that each of its values may be; none: any.
        low: the least that each number may be.
        high: the most that each may be.
        above: what each must be above.
        below: what each must be below. A number with any of these bounds must be finite.
        formerly: earlier names of its flag, which are still read.
        earlier: choices of earlier versions, which the flag still takes; the class translates them before it checks.

    Returns:
        A `dataclasses.Field`.
    """
    facts = {"help": help, "choices": tuple(choices), "bounds": (low, high, above, below)}
    facts |= {"formerly": formerly, "earlier": earlier}
    return dataclasses.field(default=default, metadata=facts)


class Checked:
    """The base of dataclasses of settings: refuses a value that cannot be as soon as an object is made.

    The docstring of a subclass ends with its settings, as their help describes them.
    """

    def __init_subclass__(cls):
        own = {name: field for name, field in vars(cls).items() if isinstance(field, dataclasses.Field)}
        inherited = {name: field for base in cls.__mro__[1:] for name, field in getattr(base, _FIELDS, {}).items()}
        rows = [f"        {name}: {field.metadata['help']}" for name, field in (own | inherited).items()]
        cls.__doc__ = "\n".join([f"{inspect.cleandoc(cls.__doc__)}\n\nAttributes:", *rows]).replace("        ", "    ")

    def __post_init__(self):
        check(self)


def check(instance: typing.Any) -> None:
    """Refuse values that are not of a setting's choices or out of its range; None passes.

    Args:
        instance: an object of a dataclass of settings.

    Raises:
        UserError: one line that names the flag and what it may be.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if value is not None and (demand := _broken(field, value)):
            raise UserError(f"`{field.name}={text(value)}`: {demand}")


def _broken(field, value):
    """What a setting demands that a value does not keep; None where it keeps all."""
    several = isinstance(value, tuple)
    values = value if several else (value,)
    choices, bounds = field.metadata["choices"], field.metadata["bounds"]
    if choices and not (values and set(values) <= set(choices)):
        return f"choose {'of' if several else 'one of'} {', '.join(choices)}"
    if bounds != (None,) * 4 and not all(_is_within(number, *bounds) for number in values):
        return f"must be {_range(*bounds, is_float=_kind(field)[0] is float)}"
    return None


def _is_within(number, low, high, above, below):
    return math.isfinite(number) and (
        (low is None or number >= low)
        and (high is None or number <= high)
        and (above is None or number > above)
        and (below is None or number < below)
    )


def _range(low, high, above, below, is_float):
    """A range in words."""
    if is_float and (low, high) == (0, 1):
        return "a probability, from 0 to 1"
    lower = f"above {above}" if low is None else f"at least {low}"
    if high is None and below is None:
        lower = "positive" if above == 0 else lower
        return f"{lower} and finite" if is_float else lower
    upper = f"at most {high}" if below is None else f"below {'2**32' if below == 2**32 else below}"
    return f"{lower} and {upper}"


def part(instance: typing.Any, cls: type[T]) -> T:
    """A room's own settings out of those of a command.

    Args:
        instance: an object that has all fields of `cls`, and others.
        cls: a dataclass of settings.

    Returns:
        An object of `cls`.
    """
    return cls(**{field.name: getattr(instance, field.name) for field in dataclasses.fields(cls)})


def define_flags(cls: type, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Define the flags of a dataclass of settings; --help lists them by the module that declares each.

    Args:
        cls: the dataclass.
        flag_values: where to define them, by default the command's own.
    """
    rooms = {sys.argv[0]: None}  # a dict, for its order
    for field in dataclasses.fields(cls):
        room = _room(cls, field.name)
        rooms[room] = None
        flags.DEFINE_flag(_flag(field), flag_values, module_name=room, required=field.default is REQUIRED)
        for name in field.metadata["formerly"]:
            flags.DEFINE_alias(name, field.name, flag_values, module_name=_FORMER)
    # absl's --help lists what the command's own module defines; a FlagValues has only in its __dict__ attributes
    flag_values.__dict__["main_module_help"] = lambda: "\n".join(filter(None, map(flag_values.module_help, rooms)))


def _room(cls, name):
    """The name of the module that declares a field, as absl calls it: the command itself by its file."""
    module = next(base.__module__ for base in cls.__mro__ if name in inspect.get_annotations(base))
    return sys.argv[0] if module == "__main__" or module.startswith(_COMMANDS) else module


def _flag(field):
    kind, several = _kind(field)
    default = None if field.default is REQUIRED else field.default
    given = field.name, default, as_flags(field.metadata["help"])
    if several:
        return flags.Flag(_Several(kind), _Joined(), *given)
    if kind is bool:
        return flags.BooleanFlag(*given)
    if field.metadata["choices"]:
        return flags.EnumFlag(*given, [*field.metadata["choices"], *field.metadata["earlier"]])
    parser = {int: flags.IntegerParser, float: flags.FloatParser, str: flags.ArgumentParser}[kind]
    return flags.Flag(parser(), flags.ArgumentSerializer(), *given)


def _kind(field):
    """The type of a setting's value, or of each of its values, and whether it has several."""
    kind = field.type
    if isinstance(kind, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
    return (typing.get_args(kind)[0], True) if typing.get_origin(kind) is tuple else (kind, False)


class _Several(flags.ArgumentParser):
    """Parses values separated by commas into a tuple."""

    syntactic_help = "a comma separated list"

    def __init__(self, kind):
        self.kind = kind

    def parse(self, argument):
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(self.kind(part.strip()) for part in argument.split(",") if part)
        except ValueError:
            kind = {int: "whole numbers", float: "numbers"}[self.kind]
            raise ValueError(f"expected {kind} separated by commas, got {argument!r}") from None

    def flag_type(self):
        return self.syntactic_help


class _Joined(flags.ArgumentSerializer):
    def serialize(self, value):
        return ",".join(map(str, value))


def from_flags(cls: type[T], flag_values: flags.FlagValues = flags.FLAGS) -> T:
    """An object of a dataclass of settings, of the values that its flags have.

    Args:
        cls: the dataclass.
        flag_values: what `define_flags` defined them in, parsed.

    Raises:
        UserError: a value cannot be.
    """
    return cls(**{field.name: flag_values[field.name].value for field in dataclasses.fields(cls)})


def parse(cls: type[T], lines: Iterable[str]) -> T:
    """An object of a dataclass of settings, as a command would read its command line.

    Args:
        cls: the dataclass.
        lines: a list of strings, the flags of a command line, --flagfile among them, or the lines of a file of flags. Blank
            lines and comments are passed over. Of two flags of one name the later counts.

    Raises:
        FlagError: a flag that does not exist, is missing, or has a value that is not of its kind.
        UserError: a value cannot be.
    """
    values = flags.FlagValues()
    define_flags(cls, values)
    given = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "//"))]
    try:
        _, *others = values(["", *given])
    except flags.UnrecognizedFlagError as error:
        raise FlagError(_line(error), error.flagname) from error
    except (flags.Error, ValueError) as error:
        raise FlagError(_line(error)) from error
    if others:
        raise FlagError(f"{others[0]}: not a flag; flags begin with --")
    return from_flags(cls, values)


def _line(error):
    return str(error).replace("\n", "; ")


def to_lines(instance: typing.Any) -> list[str]:
    """The flags that give an object of a dataclass of settings, a line each, as `parse` reads them.

    Args:
        instance: the object.

    Returns:
        A list of strings `--name=value`, without those that are None.
    """
    values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    return [f"--{name}={text(value)}" for name, value in values.items() if value is not None]


def text(value: typing.Any) -> str:
    """A value as a flag has it."""
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
