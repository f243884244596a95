"""A data set as a folder: a .npy file for each array, and a JSON file.

The JSON file says by which config the events were read, so that another is
refused instead of being taken for it.
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil

import numpy as np

from trainer import columns
from trainer import hyper
from trainer import item_table

_FILE = 'dataset.json'
_TABLE = 'item_table'
_FORMAT = 1
# Fields of [data] that change nothing of what is read.
_NOT_READ = ('split', 'test_from')


def is_prepared(path):
    """Whether a path is what write() wrote.

    Raises ValueError of what earlier versions wrote.
    """
    path = pathlib.Path(path)
    if path.suffix == '.npz':
        raise ValueError(f'{path}: prepared by an earlier version: prepare it '
                         'again, which writes a folder')
    return (path / _FILE).exists()


@contextlib.contextmanager
def new_folder(path):
    """A folder to write to, which takes the path's place when all is well.

    Raises ValueError if something else is there.
    """
    path = pathlib.Path(path)
    if path.exists() and not is_prepared(path) and (
            not path.is_dir() or any(path.iterdir())):
        raise ValueError(f'{path}: is there already, and is no prepared data')
    with columns.temporary_folder(path) as temporary:
        work = pathlib.Path(temporary) / 'new'
        work.mkdir()
        yield work
        if path.exists():
            shutil.rmtree(path)
        work.rename(path)


def write(folder, data, written=()):
    """Writes a Dataset into a folder; `written` are arrays that are there."""
    values = {'format': _FORMAT}
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, item_table.ItemTable):
            values[field.name] = _write_table(folder, value)
        elif not isinstance(value, np.ndarray):
            values[field.name] = value
        elif field.name not in written:
            columns.write(folder / f'{field.name}.npy', value)
    (folder / _FILE).write_text(json.dumps(values, indent=1) + '\n')


def read(path):
    """{field: value} of a Dataset. Raises ValueError naming the file."""
    path = pathlib.Path(path)
    values = json.loads((path / _FILE).read_text())
    found = values.pop('format', None)
    if found != _FORMAT:
        raise ValueError(f'{path / _FILE}: format is {found}; this version '
                         f'reads {_FORMAT}: prepare it again')
    if values['item_table']:
        values['item_table'] = _read_table(path, values['item_table'])
    return {**values, **{file.stem: columns.read(file)
                         for file in sorted(path.glob('*.npy'))}}


def _write_table(folder, table):
    """Writes the arrays of an ItemTable; returns the rest, JSON-able."""
    arrays = table.arrays()
    (folder / _TABLE).mkdir()
    for number, array in enumerate(arrays.values()):
        # Not by their names: those of attributes may be none of files.
        columns.write(folder / _TABLE / f'{number}.npy', array)
    return {'arrays': list(arrays),
            'item_attributes': [*map(dataclasses.asdict, table.attributes)],
            'item_numbers': [*map(dataclasses.asdict, table.numbers)]}


def _read_table(path, values):
    arrays = {name: columns.read(path / _TABLE / f'{number}.npy')
              for number, name in enumerate(values.pop('arrays'))}
    model = hyper.from_dict(values)
    return item_table.from_arrays(model.item_attributes, model.item_numbers,
                                  arrays)


def of_config(config):
    """What of a config decides how events are read; JSON-able."""
    data = dataclasses.asdict(config.data)
    for name in _NOT_READ:
        del data[name]
    return json.loads(json.dumps({'data': data}))


def check(path, made_by, config):
    """Raises ValueError if a config reads events otherwise than the one that
    they were prepared by: naming the field and both values. Columns, actions
    and items' attributes are compared where they are chosen."""
    wanted = of_config(config)
    fields = {f'data.{name}': (value, wanted['data'].get(name))
              for name, value in made_by['data'].items()}
    labels = fields.pop('data.labels')
    for task in config.model.tasks:
        fields[f'data.labels.{task.name}'] = tuple(
            columns.get(task.name, '') for columns in labels)
    for name, (found, asked) in fields.items():
        if found != asked:
            raise ValueError(f'{path} was prepared with {name} = {found!r}, '
                             f'but the config has {asked!r}: prepare it again, '
                             'or set it back')
