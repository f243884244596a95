"""docs/config_reference.md: every field of a config file, from the code.

A field is explained by the comment above it in its dataclass. Fields that
follow without a comment of their own are of the same explanation. Classes
whose fields have no comments are explained by their docstrings.
"""

import ast
import dataclasses
import inspect
import textwrap

from trainer import config as config_lib
from trainer import hyper as hyper_lib

_HEAD = '''# Configuration reference

Every section and field of a model's TOML file, with its default. Made by `python -m trainer reference`; [training.md](training.md) says how to use them.
`--set section.field=value` changes a field for one run.
'''
# Section of the file: its class.
_SECTIONS = (
    ('[data]', config_lib.Data), ('[model]', hyper_lib.Hyper),
    ('model.tasks', hyper_lib.Task),
    ('model.event_features, model.candidate_features', hyper_lib.Category),
    ('model.context_features', hyper_lib.ContextFeature),
    ('model.item_attributes', hyper_lib.ItemAttribute),
    ('model.item_numbers', hyper_lib.ItemNumber),
    ('model.item_memory', hyper_lib.ItemMemory),
    ('[training]', config_lib.Training))


@dataclasses.dataclass
class Group:
    """Fields that one comment explains: {name: default as TOML has it}."""
    fields: dict
    text: str


def groups(kind):
    """The Groups of a dataclass, in the order of its fields."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines, found = source.splitlines(), []
    defaults = {field.name: _default(field)
                for field in dataclasses.fields(kind)}
    for node in ast.parse(source).body[0].body:
        if not isinstance(node, ast.AnnAssign):
            continue
        text = _comment_above(lines, node.lineno - 1)
        name = node.target.id
        if text or not found:
            found.append(Group({}, text))
        found[-1].fields[name] = defaults[name]
    return found


def _comment_above(lines, at):
    """The comment that ends right above a line, as one line."""
    words = []
    while at > 0 and lines[at - 1].lstrip().startswith('# '):
        at -= 1
        words.insert(0, lines[at].lstrip()[2:])
    return ' '.join(words)


def _default(field):
    """A default as TOML has it; '' for a field that must be given."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    return '' if value is dataclasses.MISSING else _toml(value)


def _toml(value):
    if value is None:
        return 'not given'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int):
        return f'{value:_}' if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return repr(value)
    if dataclasses.is_dataclass(value):
        return _toml({field.name: getattr(value, field.name)
                      for field in dataclasses.fields(value)})
    if isinstance(value, dict):
        parts = ', '.join(f'{name} = {_toml(part)}'
                          for name, part in value.items())
        return f'{{ {parts} }}' if parts else '{}'
    return '[' + ', '.join(map(_toml, value)) + ']'


def text():
    """The page."""
    parts = [_HEAD]
    for title, kind in _SECTIONS:
        parts.append(f'## `{title}`\n\n{_prose(inspect.getdoc(kind))}\n')
        lines = []
        for group in groups(kind):
            names = ', '.join(
                f'`{name}`' + (f' ({_shown(default)})' if default else
                               ' (must be given)')
                for name, default in group.fields.items())
            lines.append(f'- {names}' + (f': {group.text}' if group.text
                                         else ''))
        parts.append('\n'.join(lines) + '\n')
    return '\n'.join(parts)


def _shown(default):
    return default if default == 'not given' else f'`{default}`'


def _prose(doc):
    """A docstring with its lines joined, without what it raises."""
    return '\n\n'.join(' '.join(part.split()) for part in doc.split('\n\n')
                       if not part.startswith('Raises'))
