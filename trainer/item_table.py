"""What is known of items beside who had them: the columns of data.catalogue.

Categories become codes and numbers are normalised, so that a model's content
tower (trainer/content.py) can make a row for an item that nobody had yet.
"""

import dataclasses

import numpy as np

from trainer import hyper as hyper_lib
from trainer import keys as keys_lib

# A value of fewer items says nothing of others: it counts as unknown.
MIN_ITEMS = 2
# More different values are a mistaken column, or one to leave to numbers.
MAX_VALUES = 200_000
# How far a number counts, in scales from its mean.
MOST_SCALES = 1_000
# What a server takes off the ends of a value, whatever the language.
_SPACE = ' \t\n\v\f\r'


@dataclasses.dataclass
class Lines:
    """The M lines of a data.catalogue.

    ids [M]. keys: the keys.Keys of items that are texts. texts {attribute:
    texts [M]}. numbers, features {name: float64 [M], NaN where there is none}:
    model.item_numbers, and those model.candidate_features that are columns of
    it; words {name: texts [M]}: those of them that are categories.
    """
    ids: np.ndarray
    keys: keys_lib.Keys
    texts: dict
    numbers: dict
    features: dict
    words: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class ItemTable:
    """Of the item rows 0 ... N of a catalogue; row 0 knows nothing.

    attributes: hyper.ItemAttributes with their values. codes {name: [.]} and
    offsets {name: [N + 1]}: row r has codes[offsets[r] ...], at least one; 0
    stands for an unknown value, or for none. numbers: hyper.ItemNumbers with
    their constants; normalised [N + 1, J] float32, 0 where there is none.
    """
    attributes: tuple
    offsets: dict
    codes: dict
    numbers: tuple
    normalised: np.ndarray

    def arrays(self):
        """{name: array}, from which from_arrays makes the same table."""
        found = {'numbers': self.normalised}
        for attribute in self.attributes:
            name = attribute.name
            found[f'offsets.{name}'] = self.offsets[name]
            found[f'codes.{name}'] = self.codes[name]
        return found


def from_arrays(attributes, numbers, arrays):
    """The inverse of ItemTable.arrays."""
    def of(kind):
        return {attribute.name: arrays[f'{kind}.{attribute.name}']
                for attribute in attributes}
    return ItemTable(tuple(attributes), of('offsets'), of('codes'),
                     tuple(numbers), arrays['numbers'])


def make(model, item_ids, lines):
    """The ItemTable of a catalogue's Lines.

    model: a Hyper, whose attributes may lack values and numbers constants:
    then they are the data's. item_ids [N]: of the rows.

    Raises ValueError naming an attribute that has too many values.
    """
    places = np.searchsorted(item_ids, lines.ids)
    attributes, offsets, codes = [], {}, {}
    for attribute in model.item_attributes:
        known, lists = _coded(attribute, lines.texts[attribute.name])
        attributes.append(known)
        name = attribute.name
        offsets[name], codes[name] = _flat(lists, places + 1,
                                           len(item_ids) + 1)
    constants = tuple(_constants(number, lines.numbers[number.name])
                      for number in model.item_numbers)
    normalised = np.zeros((len(item_ids) + 1, len(constants)), np.float32)
    for column, number in enumerate(constants):
        normalised[places + 1, column] = _normalised(
            number, lines.numbers[number.name])
    return ItemTable(tuple(attributes), offsets, codes, constants, normalised)


def of_line(model, texts, numbers):
    """What make() has of one line: codes {name: [.]}, normalised [J].

    model: a Hyper whose attributes have values and whose numbers have constants.
    texts, numbers: {name: cell or number}; what is not there says nothing.
    """
    codes = {attribute.name: _codes_of(attribute, [
        _values(attribute, texts.get(attribute.name, ''))])[0]
             for attribute in model.item_attributes}
    normalised = [_normalised(number, numbers.get(number.name, np.nan))
                  for number in model.item_numbers]
    return codes, np.array(normalised, np.float32)


def _coded(attribute, texts):
    """The attribute with its values, and the codes of each text's values."""
    lists = [_values(attribute, text) for text in texts]
    if not attribute.values:
        attribute = dataclasses.replace(attribute,
                                        values=_vocabulary(attribute, lists))
    return attribute, _codes_of(attribute, lists)


def _codes_of(attribute, lists):
    """The codes of lists of values."""
    code = {value: index + 1 for index, value in enumerate(attribute.values)}
    return [[code.get(value, 0) for value in values] or [0]
            for values in lists]


def _values(attribute, text):
    """The different values of a cell."""
    parts = text.split(attribute.separator) if attribute.separator else [text]
    values = (part.strip(_SPACE) for part in parts)
    return list(dict.fromkeys(value for value in values if value))


def _vocabulary(attribute, lists):
    """Values of MIN_ITEMS items or more, the most frequent first."""
    counts = {}
    for values in lists:
        for value in values:
            counts[value] = counts.get(value, 0) + 1
    values = sorted((value for value, count in counts.items()
                     if count >= MIN_ITEMS),
                    key=lambda value: (-counts[value], value))
    if len(values) > MAX_VALUES:
        raise ValueError(
            f'model.item_attributes: {attribute.name!r} has {len(values):,} '
            f'different values, such as {values[0]!r}; at most {MAX_VALUES:,}')
    return tuple(values)


def _flat(lists, rows, num_rows):
    """Offsets [num_rows] and codes of lists that belong to rows; [0] for the
    rows that have none."""
    of_row = [[0]] * num_rows
    for row, codes in zip(rows.tolist(), lists):
        of_row[row] = codes
    sizes = np.array([len(codes) for codes in of_row])
    return (np.concatenate([[0], np.cumsum(sizes)[:-1]]),
            np.concatenate([np.array(codes, np.int64) for codes in of_row]))


def _normalised(number, values):
    """Of numbers, or of one; 0 where there is none."""
    scales = np.clip((values - number.mean) / number.scale, -MOST_SCALES,
                     MOST_SCALES)
    return np.where(np.isnan(scales), 0., scales)


def _constants(number, values):
    """The number with mean and scale, the data's where it has none."""
    if number.mean is not None:
        return number
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else 0.
    scale = float(known.std()) if len(known) else 0.
    return hyper_lib.ItemNumber(number.name, mean, scale or 1.)
