"""A model's config file (TOML): its data, its shape, its training.

trainer/configs/grocery.toml is an example with every section.
"""

import dataclasses
import datetime
import pathlib
import tomllib

from trainer import hyper as hyper_lib
from trainer.training import Training

# Event times in the data, in microseconds a unit; 'rfc3339' are dates.
TIME_UNITS = {'s': 1_000_000, 'ms': 1_000, 'us': 1}


@dataclasses.dataclass(frozen=True)
class Data:
    """Which CSV files hold the events, and what their columns are called."""
    # The files of events that are trained on.
    train: tuple = ('train.csv',)
    # Later events of the same users, which training never reads.
    heldout: tuple = ()
    # The columns of who, and of what.
    user: str = 'user'
    item: str = 'item'
    # 'number', whole ones, or 'text': ids are then hashes (trainer/keys.py).
    item_keys: str = 'number'
    # The columns of what they did and when; times are numbers of 's', 'ms' or
    # 'us' since 1970, or dates ('rfc3339').
    action: str = 'action'
    time: str = 'time'
    time_unit: str = 's'
    # What is held out: 'time', the events of the held-out files and whatever
    # is later; or 'last', every user's last event (leave-one-out).
    split: str = 'time'
    # Events of one user with equal times: a 'moment' (a basket, whose order
    # says nothing) or an 'order' (the file's, each event a moment of its own).
    equal_times: str = 'moment'
    # The item table: a CSV file with one line an item, so that items without
    # training events have rows too; '' takes the items of the training events.
    # Its item column is called as that of the events.
    catalogue: str = ''
    # A CSV file with one line a user: context features that are columns of it
    # are the user's in every request. Its user column is called as that of the
    # events.
    users: str = ''
    # Instead of held-out files, where tasks have labels: training ends at the
    # first time and tests start at the second (ISO 8601).
    validate_from: str = ''
    test_from: str = ''
    # Items with fewer training events share the out-of-vocabulary row. With
    # model.item_attributes or item_numbers they have rows of their own, which
    # are made of nothing else.
    min_item_count: int = 5
    # {task name: column of 0/1 labels}; tasks not named predict the next item.
    labels: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, known in (('item_keys', ('number', 'text')),
                            ('time_unit', (*TIME_UNITS, 'rfc3339')),
                            ('split', ('time', 'last')),
                            ('equal_times', ('moment', 'order'))):
            if getattr(self, name) not in known:
                raise ValueError(f'data.{name} is {getattr(self, name)!r}; it '
                                 'must be ' + ' or '.join(known))
        self._check_cuts()

    def _check_cuts(self):
        cuts = [self.validate_from, self.test_from]
        if cuts == ['', '']:
            return
        if self.split != 'time' or self.heldout:
            raise ValueError('data.validate_from and data.test_from cut one '
                             'file in time: leave split and heldout alone')
        if '' in cuts or (time_us(cuts[0], 'data.validate_from') >=
                          time_us(cuts[1], 'data.test_from')):
            raise ValueError(f'data.test_from is {cuts[1]!r}; it must be '
                             f'after data.validate_from, {cuts[0]!r}')


@dataclasses.dataclass(frozen=True)
class Config:
    name: str
    version: int
    description: str
    data: Data
    model: hyper_lib.Hyper
    training: Training
    # Fields that somebody chose, such as 'training.epochs'; trainer/recipe.py
    # chooses others.
    given: frozenset = dataclasses.field(default=frozenset(), compare=False)

    def __post_init__(self):
        weight = self.training.reconstruction_weight
        if weight and not self.model.num_seeds:
            raise ValueError(f'training.reconstruction_weight is {weight}; it '
                             'must be 0 without model.num_seeds')
        if self.model.num_seeds and not (weight or
                                         self.model.summary_attention):
            raise ValueError(f'model.num_seeds is {self.model.num_seeds}, but '
                             'nothing trains seeds: set '
                             'model.summary_attention or '
                             'training.reconstruction_weight')
        if self.training.starts_from_counts and not self.model.item_memory:
            raise ValueError('training.starts_from_counts needs '
                             'model.item_memory, whose counts they are')
        if weight and self.training.reconstruction_window < 1:
            raise ValueError('training.reconstruction_window is '
                             f'{self.training.reconstruction_window}; it must '
                             'be at least 1')
        shares = self.training.popular_share + self.training.history_share
        if shares >= 1:
            raise ValueError('training.popular_share + history_share is '
                             f'{shares:g}; it must be less than 1: an item '
                             'that is neither must have a chance')

    def to_dict(self):
        """All of it but `given`: from_dict() takes every field for given."""
        values = dataclasses.asdict(self)
        del values['given']
        return values


def load(path):
    """Reads a config file. Raises ValueError naming the file and the field."""
    with open(path, 'rb') as file:
        try:
            return from_dict(tomllib.load(file))
        except (ValueError, TypeError) as error:
            raise ValueError(f'{path}: {error}') from error


def from_arguments(args):
    """The Config of a command line's --config and --set."""
    return with_overrides(load(args.config), args.set)


def from_dict(values):
    """Builds a Config from parsed TOML or from Config.to_dict()."""
    for key in values:
        if key not in ('name', 'version', 'description', 'data', 'model',
                       'training'):
            raise ValueError(f'unknown field {key}')
    if 'name' not in values:
        raise ValueError('name is missing')
    return Config(values['name'], int(values.get('version', 1)),
                  values.get('description', ''),
                  _section(Data, 'data', values.get('data', {})),
                  hyper_lib.from_dict(values.get('model', {})),
                  _section(Training, 'training', values.get('training', {})),
                  frozenset(f'{section}.{field}'
                            for section in ('data', 'model', 'training')
                            for field in values.get(section, {})))


_LENGTHS = (('training', 'steps'), ('training', 'epochs'))


def with_overrides(config, assignments):
    """A Config with `section.field=value` changes, as --set gives them."""
    values, given = config.to_dict(), set(config.given)
    for assignment in assignments:
        path, separator, text = assignment.partition('=')
        section, _, field = path.partition('.')
        if not separator or field not in values.get(section, {}):
            raise ValueError(f'--set {assignment}: expected '
                             'data|model|training.<field>=<TOML value>')
        if (section, field) in _LENGTHS:  # Instead of the one that was given.
            for _, other in _LENGTHS:
                values[section][other] = None
        try:
            values[section][field] = tomllib.loads(f'x = {text}')['x']
        except tomllib.TOMLDecodeError:
            values[section][field] = text
        given.add(path)
    return dataclasses.replace(from_dict(values), given=frozenset(given))


def with_actions(config, names):
    """The config with a data set's action names, where it has none.

    Raises ValueError if it has others, or wants to predict what is none.
    """
    names = tuple(str(name) for name in names)
    if config.model.actions not in ((), names):
        raise ValueError(f'model.actions is {config.model.actions}, but the '
                         f'data was prepared with {names}')
    for name in config.training.target_actions:
        if name not in names:
            raise ValueError(f'training.target_actions has {name!r}; the '
                             'actions are ' + ', '.join(names))
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, actions=names))


def with_categories(config, *found):
    """The config with the values of a data set's categories, of events and of
    candidates, behind the numbers. Raises ValueError if it says others."""
    changes = {}
    for field, of_data in zip(('event_features', 'candidate_features'), found):
        features = getattr(config.model, field)
        for one, other in zip(hyper_lib.categories(features), of_data):
            same = one.separator == other.separator and (
                one.hashed == other.hashed and
                one.values in ((), other.values))
            if not same:
                raise ValueError(f'model.{field}: {one.name!r} has another '
                                 'separator or other values than the data was '
                                 'prepared with')
        changes[field] = hyper_lib.numbers(features) + tuple(of_data)
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, **changes))


def with_contexts(config, features):
    """The config with a data set's context features, where it does not say all
    of theirs. Raises ValueError if it says others."""
    for one, other in zip(config.model.context_features, features):
        if (one.values or one.boundaries) and one != other:
            raise ValueError(f'model.context_features: {one.name!r} has other '
                             'values, boundaries or another default than the '
                             'data was prepared with')
    return dataclasses.replace(config, model=dataclasses.replace(
        config.model, context_features=tuple(features)))


def with_content(config, table):
    """The config with the values and constants of an ItemTable, where it has
    none. Raises ValueError if it has others, or the table none at all."""
    model, changes = config.model, {}
    for field, found in (('item_attributes', table and table.attributes),
                         ('item_numbers', table and table.numbers)):
        wanted = getattr(model, field)
        names = [[part.name for part in parts] for parts in
                 (wanted, found or ())]
        if names[0] != names[1]:
            raise ValueError(f'model.{field} is {names[0]}, but the data was '
                             f'prepared with {names[1]}')
        for one, other in zip(wanted, found or ()):
            if one != other and (getattr(one, 'values', ()) or
                                 getattr(one, 'mean', None) is not None):
                raise ValueError(f'model.{field}: {one.name!r} has other '
                                 'values than the data was prepared with')
        changes[field] = tuple(found or ())
    return dataclasses.replace(
        config, model=dataclasses.replace(model, **changes))


def _section(kind, name, values):
    known = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise ValueError(f'unknown field {name}.{key}; known: ' +
                             ', '.join(sorted(known)))
    values = {key: tuple(value) if isinstance(value, list) else value
              for key, value in values.items()}
    return kind(**values)


def time_us(text, name):
    """Microseconds of a date such as 2017-10-01 or 2017-10-01T12:00, UTC
    unless it says otherwise (2017-10-01T00:00+08:00).

    Raises ValueError naming the option or the field that holds it.
    """
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'{name} "{text}" is not a date such as 2017-10-01, '
            '2017-10-01T12:00 or 2017-10-01T12:00+02:00 (UTC unless it says '
            'otherwise)') from None
    when = when.replace(tzinfo=when.tzinfo or datetime.timezone.utc)
    return int(when.timestamp()) * 1_000_000


def data_files(config, folder):
    """(training files, held-out files) as paths under a data folder."""
    folder = pathlib.Path(folder)
    return ([folder / name for name in config.data.train],
            [folder / name for name in config.data.heldout])
