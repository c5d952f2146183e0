"""Read YAML that people wrote: study files, and the values of `-p name=value`."""

from __future__ import annotations

from typing import Any

import yaml

from skillkit.errors import SkillkitError


def read_yaml(text: str) -> Any:
    """What some YAML says.

    Raises:
        SkillkitError: it is not valid YAML, gives a key twice, or holds a value that is none (a date such as
            2020-99-99, a number of thousands of digits, lists a thousand deep). The message is one line.
    """
    try:
        value = yaml.load(text, _Loader)
        _refuse_loops(value, set(), set())
        return value
    except yaml.YAMLError as error:
        raise SkillkitError(f"not valid YAML: {_line(error)}") from error
    except RecursionError as error:
        raise SkillkitError("not valid YAML: it is nested too deep") from error
    except (
        Exception
    ) as error:  # PyYAML turns texts into dates and numbers, and lets any error of that through
        raise SkillkitError(f"not valid YAML: a value in it cannot be read ({_line(error)})") from error


def _refuse_loops(value: Any, above: set[int], done: set[int]) -> None:
    """Raise an error when a list or mapping holds itself, as anchors can make it."""
    if not isinstance(value, list | dict) or id(value) in done:
        return
    if id(value) in above:
        raise ValueError("a list or mapping that holds itself")
    for each in value.values() if isinstance(value, dict) else value:
        _refuse_loops(each, above | {id(value)}, done)
    done.add(id(value))


def _line(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if len(line) <= 300 else f"{line[:300]}…"


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, instead of the last one holding."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is given twice", key.start_mark
                    )
                keys.add(key.value)
        return super().construct_mapping(node, deep)
