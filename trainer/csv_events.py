"""Reads the files of a data set: CSV, or Parquet by the same rules.

A file has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares; others are ignored. Items are uint64 ids. The action column may be
missing, as for the command line: every event then has the first action.

trainer/csv_cells.py has the rules of cells. A file whose name ends with
.parquet has typed values (trainer/parquet_rows.py); what is no text nor of a
type that says the same is read as the text that a CSV file would have.
"""

import numpy as np

from trainer import config as config_lib
from trainer import csv_cells as cells
from trainer import csv_rows
from trainer import hyper as hyper_lib
from trainer import item_table
from trainer import keys
from trainer import parquet_rows


def parts(path, config):
    """The events of a file, some at a time: a dict of arrays with an event a
    row, but users and actions are Texts. Its keys are fields of a Dataset.

    Raises ValueError naming file, line, column and value of a bad cell: the
    first in the file.
    """
    data, model = config.data, config.model
    names = [data.user, data.item, data.action, data.time,
             *hyper_lib.column_names(model.event_features),
             *hyper_lib.column_names(model.candidate_features),
             *(feature.name for feature in model.context_features),
             *data.labels.values()]
    return _parts(path, names, lambda rows: _events(rows, config))


def read_items(path, config):
    """The item_table.Lines of a file with one line an item."""
    names = [config.data.item,
             *hyper_lib.column_names(config.model.candidate_features), *(
        column.name for column in (*config.model.item_attributes,
                                   *config.model.item_numbers))]
    found, texts, numbers, features, words = zip(*_parts(
        path, names, lambda rows: _items(rows, config)))
    ids = np.concatenate([part['items'] for part in found])
    _refuse_repeated(path, ids, names[0])
    of_ids = keys.Keys()
    for part in found:
        of_ids.add(*part['item_keys'])
    return item_table.Lines(
        ids, of_ids, _joined(texts),
        *({name: np.concatenate([part[name] for part in parts])
           for name in parts[0]} for parts in (numbers, features)),
        _joined(words))


def read_users(path, config):
    """{context feature: {user: text}} of a file with one line a user, of those
    that are columns of it."""
    names = [config.data.user, *(feature.name for feature in
                                 config.model.context_features)]
    users, texts = zip(*_parts(path, names, lambda rows: _users(rows, config)))
    users = [user for part in users for user in part]
    _refuse_repeated(path, np.array(users, object), names[0])
    return {name: dict(zip(users, column))
            for name, column in _joined(texts).items()}


def _joined(parts):
    """{name: list} of the same in several parts."""
    return {name: [text for part in parts for text in part[name]]
            for name in parts[0]}


def _refuse_repeated(path, values, name):
    """Raises ValueError if a value [n] of a column has two lines in a file."""
    _, first = np.unique(values, return_index=True)
    if len(first) == len(values):
        return
    is_first = np.zeros(len(values), bool)
    is_first[first] = True
    row = int(np.flatnonzero(~is_first)[0])
    for rows in _rows(path, [name]):
        if row < len(rows):
            cells.Column(rows, name).refuse(row, 'has a line already')
        row -= len(rows)


def _rows(path, names):
    if str(path).endswith('.parquet'):
        return parquet_rows.parts(path, names)
    return csv_rows.parts(path)


def _parts(path, names, convert):
    """convert(rows) of parts; it looks at one column after another, of those
    that are named."""
    for rows in _rows(path, names):
        try:
            result = convert(rows)
        except cells.BadCell as error:
            raise ValueError(str(_first_problem(rows, convert, error))
                             ) from None
        if rows.error:
            raise rows.error
        yield result


def _first_problem(rows, convert, problem):
    """The cells.BadCell of the first line that has one, given any."""
    end = problem.row
    while True:
        try:
            convert(rows.part(0, end))
        except cells.BadCell as earlier:
            end = earlier.row
        else:
            break
    try:
        convert(rows.part(end, end + 1))
    except cells.BadCell as first:
        return first
    return problem


def _events(rows, config):
    data, model = config.data, config.model
    # That all columns are there is seen before any cell is.
    user, item, time = (cells.Column(rows, getattr(data, role), f'data.{role}')
                        for role in ('user', 'item', 'time'))
    action = None
    if data.action in rows.header or data.action != config_lib.Data.action:
        action = cells.Column(rows, data.action, 'data.action')
    features = (model.event_features, model.candidate_features)
    numbers, categories = ([[cells.Column(rows, name) for name in names(part)]
                            for part in features] for names in (
                                hyper_lib.numbers, _category_names))
    contexts = [cells.Column(rows, feature.name)
                for feature in model.context_features]
    labels = {name: cells.Column(rows, column)
              for name, column in data.labels.items()}
    return {
        'users': cells.users(user),
        'actions': cells.actions(action, model.actions, len(rows)),
        **cells.items(item, data.item_keys),
        'times_us': cells.times_us(time, data.time_unit),
        'event_features': _side_by_side(rows, map(cells.finite, numbers[0])),
        'candidate_features': _side_by_side(
            rows, map(cells.finite, numbers[1])),
        'event_sets': [cells.coded(column) for column in categories[0]],
        'candidate_sets': [cells.coded(column) for column in categories[1]],
        'contexts': [cells.coded(column) for column in contexts],
        'labels': _side_by_side(rows, (
            cells.label(labels[task.name]) if task.name in labels
            else np.full(len(rows), np.nan) for task in model.tasks))}


def _category_names(features):
    return [category.name for category in hyper_lib.categories(features)]


def _side_by_side(rows, columns, dtype=np.float32):
    columns = list(columns)
    together = np.empty((len(rows), len(columns)), dtype)
    for at, column in enumerate(columns):
        together[:, at] = column
    return together


def _items(rows, config):
    item = cells.Column(rows, config.data.item, 'data.item')
    model = config.model
    texts, numbers = ({column.name: cells.Column(rows, column.name)
                       for column in columns} for columns in (
                           model.item_attributes, model.item_numbers))
    features, words = (_those_there(rows, names(model.candidate_features))
                       for names in (hyper_lib.numbers, _category_names))
    found = cells.items(item, config.data.item_keys)
    return found, _texts(texts), *(
        {name: cells.number_or_nothing(column)
         for name, column in columns.items()} for columns in (
             numbers, features)), _texts(words)


def _users(rows, config):
    user = cells.Column(rows, config.data.user, 'data.user')
    columns = _those_there(rows, [feature.name for feature in
                                  config.model.context_features])
    codes, values = cells.users(user)
    return [values[code] for code in codes], _texts(columns)


def _those_there(rows, names):
    """{name: Column} of those that the file has."""
    return {name: cells.Column(rows, name) for name in names
            if name in rows.header}


def _texts(columns):
    """{name: texts [n]} of Columns."""
    for column in columns.values():
        column.check_utf8()
    return {name: column.texts.to_list() for name, column in columns.items()}
