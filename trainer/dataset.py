"""Events of many users as flat arrays, in memory or as maps of files."""

import dataclasses
import json
import pathlib

import numpy as np

from trainer import categories as categories_lib
from trainer import columns as columns_lib
from trainer import config as config_lib
from trainer import contexts
from trainer import csv_events
from trainer import event_files
from trainer import hyper as hyper_lib
from trainer import item_table as item_table_lib
from trainer import prepared
from trainer import sorting
from trainer import vocabulary

# Events that are looked at together.
_CHUNK = 1 << 22


# Fields of a Dataset that have a row for each event.
EVENT_COLUMNS = ('items', 'rows', 'actions', 'times_us', 'event_features',
                 'candidate_features', 'event_sets', 'candidate_sets',
                 'context_rows', 'labels')


# Of what is known of items, and the field whose columns they are among.
_OF_ITEMS = {'item_features': 'candidate_features',
             'item_sets': 'candidate_sets'}


@dataclasses.dataclass
class Dataset:
    """E events of U users, sorted by user, then stably by time.

    offsets [U + 1]: user i has events offsets[i] ... offsets[i + 1] - 1.
    rows, actions, times_us [E]; event_features [E, .], candidate_features
    [E, .]: numbers; event_sets, candidate_sets [E, .]: of categories, which set
    of values each is, and event_table, candidate_table what these sets are
    (categories.Columns); context_rows [E, .], labels [E, T] (NaN: no label).
    item_ids [N]:
    item k has row k + 1, row 0 is out of vocabulary. text_ids,
    texts [K]: rising ids of items that are texts, and the texts; K is 0 where
    items are numbers. items [E]: ids, of items outside the
    catalogue too. action_names [A]. cut_us: the first
    held-out time, or -1. ordered: each event is a moment of its own.
    column_names: {field: names of its columns}, of the fields with several.
    item_table: what is known of the items, or None. item_features [N + 1, G]:
    of the rows, the candidate features that are columns of the item table;
    item_sets [N + 1, .]: those that are categories.
    categories: what categories.Columns.to_list says of those of event_sets and
    candidate_sets.
    made_by: what prepared.of_config says of the config that the events were
    read by.
    """
    users: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    items: np.ndarray
    rows: np.ndarray
    action_names: np.ndarray
    actions: np.ndarray
    times_us: np.ndarray
    event_features: np.ndarray
    candidate_features: np.ndarray
    event_sets: np.ndarray
    candidate_sets: np.ndarray
    event_table: np.ndarray
    candidate_table: np.ndarray
    context_rows: np.ndarray
    labels: np.ndarray
    item_features: np.ndarray
    item_sets: np.ndarray
    text_ids: np.ndarray
    texts: np.ndarray
    cut_us: int
    ordered: bool = False
    column_names: dict = dataclasses.field(default_factory=dict)
    context_features: list = dataclasses.field(default_factory=list)
    categories: dict = dataclasses.field(default_factory=dict)
    item_table: item_table_lib.ItemTable = None
    made_by: dict = dataclasses.field(default_factory=dict)

    @property
    def item_keys(self):
        """The texts [N] of the catalogue; [0] where items are numbers."""
        if not len(self.text_ids):
            return self.texts
        return self.texts[np.searchsorted(self.text_ids, self.item_ids)]

    @property
    def num_events(self):
        return len(self.rows)

    def save(self, path):
        """Writes a folder that load() reads without the files of events.

        Raises ValueError if something else is there.
        """
        with prepared.new_folder(path) as folder:
            prepared.write(folder, self)

    def select(self, model):
        """The same events with the columns that a Hyper declares, in its order.

        Raises ValueError naming a column that was not prepared.
        """
        wanted, columns = _column_names(model), {}
        for field in _OF_ITEMS:
            del wanted[field]  # Found by name, below.
        for field, names in wanted.items():
            known = self.column_names[field]
            for name in names:
                if name not in known:
                    raise ValueError(f'{field} has no column {name!r}; '
                                     f'prepared: {", ".join(known)}')
            values = getattr(self, field)
            if names != known:
                values = values[:, [known.index(name) for name in names]]
            columns[field] = values
        for field, of in _OF_ITEMS.items():
            own = self.column_names[field]
            wanted[field] = [name for name in wanted[of] if name in own]
            columns[field] = getattr(self, field)[:, [
                own.index(name) for name in wanted[field]]]
        columns['categories'] = {
            field: [found[self.column_names[field].index(name)]
                    for name in wanted[field]]
            for field, found in self.categories.items()}
        of_name = {feature['name']: feature
                   for feature in self.context_features}
        columns['context_features'] = [
            of_name[name] for name in wanted['context_rows']]
        return dataclasses.replace(self, column_names=wanted, **columns)

    def before(self, time_us):
        """The same users and items with the events before a time."""
        return self._keep(self.times_us < time_us)

    def without_last(self, count):
        """The same users and items without each user's last events."""
        return self._keep(self.is_before_last(count))

    def is_before_last(self, count):
        """Which events [E] are not of their user's last ones."""
        mask = np.ones(self.num_events, bool)
        sizes = np.diff(self.offsets)
        for back in range(1, count + 1):
            mask[self.offsets[1:][sizes >= back] - back] = False
        return mask

    def _keep(self, mask):
        columns = {name: getattr(self, name)[mask] for name in EVENT_COLUMNS}
        return dataclasses.replace(
            self, offsets=counted_before(mask, self.offsets), **columns)

    def with_catalogue(self, item_ids):
        """The same events with the rows of another catalogue, without what
        the item table says of attributes."""
        if np.array_equal(item_ids, self.item_ids):
            return self
        at = np.append(0, vocabulary.rows_of(self.item_ids, item_ids))
        return dataclasses.replace(
            self, item_ids=item_ids, item_table=None,
            rows=vocabulary.rows_of(item_ids, self.items),
            item_features=self.item_features[at],
            item_sets=self.item_sets[at])


def slices(count):
    """Slices of so many events, in order: those that are looked at together.
    """
    return [slice(begin, min(begin + _CHUNK, count))
            for begin in range(0, count, _CHUNK)]


def counted_before(mask, ends):
    """How many of a mask [E] are set before each of rising places."""
    counts = np.zeros(len(ends), np.int64)
    before = 0
    for begin in range(0, len(mask) + 1, _CHUNK):
        first, last = np.searchsorted(ends, [begin, begin + _CHUNK])
        part = np.concatenate([[0], np.cumsum(mask[begin:begin + _CHUNK])])
        counts[first:last] = before + part[ends[first:last] - begin]
        before += part[-1]
    return counts


def open_data(path, config):
    """A prepared folder, or a config's files of events in a folder.

    Returns the Dataset, and the config with what it takes from the data: its
    actions, the values of item attributes, the constants of item numbers.
    Raises ValueError naming a field by which the folder was prepared otherwise.
    """
    if prepared.is_prepared(path):
        data = load(path)
        prepared.check(path, data.made_by, config)
        data = data.select(config.model)
    else:
        data = read(config, path)
    config = config_lib.with_actions(config, data.action_names)
    config = config_lib.with_categories(config, *(
        categories_lib.from_list(data.categories[field])
        for field in ('event_sets', 'candidate_sets')))
    config = config_lib.with_contexts(config, hyper_lib.from_dict(
        {'context_features': data.context_features}).context_features)
    return data, config_lib.with_content(config, data.item_table)


def load(path):
    """What Dataset.save or prepare wrote; columns are maps of the files.

    Raises ValueError of what another version wrote.
    """
    values = prepared.read(path)
    differ = {field.name for field in dataclasses.fields(Dataset)} ^ {*values}
    if differ:
        raise ValueError(f'{path}: {", ".join(sorted(differ))}: made by '
                         'another version, prepare it again')
    return Dataset(**values)


def read(config, folder):
    """Reads the files of a config, into memory.

    Raises ValueError naming file, line, column and value of a bad cell.
    """
    lines, users = _item_lines(config, folder), _user_table(config, folder)
    files = event_files.EventFiles(_of_events(config, lines, users), folder,
                                   lines)
    store = columns_lib.InMemory()
    files.read(store)
    # One part: the columns are sorted and let go, one after another.
    return _sorted(config, lines, users, files, store.arrays(),
                   columns_lib.InMemory(), part_events=1 << 62)


def prepare(config, folder, out, part_events=sorting.PART_EVENTS):
    """Reads the files of a config into a folder that load() reads, with memory
    for part_events events, the users' names and the catalogue.

    Returns the Dataset. Raises ValueError as read() and Dataset.save do.
    """
    if prepared.is_prepared(folder):
        raise ValueError(f'{folder} is prepared already')
    lines, users = _item_lines(config, folder), _user_table(config, folder)
    files = event_files.EventFiles(_of_events(config, lines, users), folder,
                                   lines)
    with columns_lib.temporary_folder(out) as temporary, prepared.new_folder(
            out) as new:
        store = columns_lib.OnDisk(temporary)
        files.read(store)
        data = _sorted(config, lines, users, files, store.arrays(),
                       columns_lib.OnDisk(new), part_events)
        prepared.write(new, data, written=EVENT_COLUMNS)
    return load(out)


def _item_lines(config, folder):
    """The item_table.Lines of a config's item table; None without one."""
    if not config.data.catalogue:
        return None
    return csv_events.read_items(
        pathlib.Path(folder) / config.data.catalogue, config)


def _of_events(config, lines, users):
    """The config with the features that are columns of the events: those that
    neither the item table has nor the table of users."""
    features = config.model.candidate_features
    of_items = {*lines.features, *lines.words} if lines else set()
    return dataclasses.replace(config, model=dataclasses.replace(
        config.model, candidate_features=tuple(
            feature for feature, name in zip(
                features, hyper_lib.column_names(features))
            if name not in of_items), context_features=tuple(
            feature for feature in config.model.context_features
            if feature.name not in users)))


def _sorted(config, lines, users, files, events, store, part_events):
    """The Dataset of what EventFiles read: events {name: array [E]}, in the
    order of the files, which are put into a store in order."""
    event_files.note_late(files, events['times_us'])
    item_ids, item_table = _items(config, lines, files.items)
    of_events, of_candidates = _categories(config.model, files, lines, item_ids)
    item_sets = of_candidates.of_items(len(item_ids) + 1)
    of_contexts = contexts.columns(config.model.context_features, files, users)
    column_names = _column_names(config.model, lines)
    item_features = _item_features(item_ids, lines, column_names)
    text_ids, texts = files.keys.arrays()
    names, of_code = vocabulary.actions(files.actions, config)
    codes = events.pop('users')
    # Users in order of their first line; lines of equal time keep their order.
    counts = files.users.counts
    for order in sorting.order(codes, events['times_us'], counts, part_events):
        is_all = len(order) == len(codes)
        for name in sorted(events, key='items'.__ne__):  # Items first.
            # What is sorted whole is needed no more.
            column = events.pop(name) if is_all else events[name]
            values = column[order]
            if name == 'actions':
                values = of_code[values]
            if name == 'context_rows':
                values = contexts.table_rows(of_contexts, values, codes[order])
            if name == 'event_sets':
                values = of_events.of_events(values, None)
            if name == 'candidate_sets':
                values = of_candidates.of_events(values, rows)
            if name == 'items':
                rows = vocabulary.rows_of(item_ids, values)
                store.append('rows', rows)
            if name == 'candidate_features':
                values = _with_items(values, item_features[rows], column_names)
            store.append(name, values)
            del column
    return Dataset(
        users=np.array(files.users.texts, dtype=str),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        item_ids=item_ids, action_names=np.array(names, dtype=str),
        cut_us=files.cut_us, ordered=config.data.equal_times == 'order',
        column_names=column_names, item_table=item_table,
        context_features=json.loads(json.dumps(
            [dataclasses.asdict(column.feature) for column in of_contexts])),
        categories={'event_sets': of_events.to_list(),
                    'candidate_sets': of_candidates.to_list()},
        event_table=of_events.table, candidate_table=of_candidates.table,
        item_features=item_features, item_sets=item_sets,
        text_ids=text_ids, texts=texts,
        made_by=prepared.of_config(config), **store.arrays())


def _user_table(config, folder):
    """{context feature: {user: text}} of what the table of users has."""
    if not config.data.users:
        return {}
    return csv_events.read_users(pathlib.Path(folder) / config.data.users,
                                 config)


def _item_features(item_ids, lines, column_names):
    """[N + 1, G] of the item table's candidate features; the mean where it has
    none."""
    names = column_names['item_features']
    features = np.zeros((len(item_ids) + 1, len(names)), np.float32)
    for column, name in enumerate(names):
        values = lines.features[name]
        known = ~np.isnan(values)
        features[:, column] = values[known].mean() if known.any() else 0.
        rows = vocabulary.rows_of(item_ids, lines.ids)
        known &= rows > 0
        features[rows[known], column] = values[known]
    return features


def _categories(model, files, lines, item_ids):
    """categories.Columns of events, and of candidates.

    Raises ValueError naming the field of a category that has no values.
    """
    found = []
    for kind in ('event', 'candidate'):
        of_kind = categories_lib.Columns()
        codes = files.categories[f'{kind}_sets']
        words = lines.words if lines and kind == 'candidate' else {}
        at = 0
        for category in hyper_lib.categories(
                getattr(model, f'{kind}_features')):
            try:
                if category.name in words:
                    of_kind.add_of_items(category, words[category.name],
                                         _lines_of(item_ids, lines))
                    continue
                of_kind.add_of_events(category, codes[at].texts,
                                      files.training_counts(codes[at]), at)
                at += 1
            except ValueError as error:
                raise ValueError(f'model.{kind}_features: {error}') from None
        found.append(of_kind)
    return found


def _lines_of(item_ids, lines):
    """For each item row [N + 1], its line of the item table; -1: none."""
    found = np.full(len(item_ids) + 1, -1)
    rows = vocabulary.rows_of(item_ids, lines.ids)
    found[rows] = np.arange(len(rows))
    found[0] = -1
    return found


def _with_items(of_events, of_items, column_names):
    """Candidate features [E, F] of columns of the events and of the items."""
    if not column_names['item_features']:
        return of_events
    names = column_names['candidate_features']
    both = np.empty((len(of_events), len(names)), np.float32)
    is_items = np.isin(names, column_names['item_features'])
    both[:, ~is_items] = of_events
    both[:, is_items] = of_items
    return both


def _column_names(model, lines=None):
    of_items = {*lines.features, *lines.words} if lines else set()
    names = {}
    for kind in ('event', 'candidate'):
        features = getattr(model, f'{kind}_features')
        names[f'{kind}_features'] = list(hyper_lib.numbers(features))
        names[f'{kind}_sets'] = [
            category.name for category in hyper_lib.categories(features)]
    of_items = {field: [name for name in names[of] if name in of_items]
                for field, of in _OF_ITEMS.items()}
    return {**names, **of_items,
            'context_rows': [feature.name
                             for feature in model.context_features],
            'labels': [task.name for task in model.tasks]}


def _items(config, lines, counts):
    """(item ids [N], ItemTable or None) of a data set's catalogue."""
    least, model = config.data.min_item_count, config.model
    if not lines:
        if model.has_content:
            raise ValueError('model.item_attributes and model.item_numbers are '
                             'columns of an item table: data.catalogue says '
                             'which file it is')
        ids = counts.catalogue(least)
        if not len(ids):
            raise ValueError(f'data.min_item_count is {least}, but no item has '
                             'so many training events')
        return ids, None
    if not model.has_content:
        return np.sort(lines.ids), None
    # The table may lack what is sold all the time: nothing is known of it.
    ids = np.union1d(lines.ids, counts.catalogue(least))
    return ids, item_table_lib.make(model, ids, lines)
