"""Reads the events of a data set's files, in their order, a part at a time."""

import pathlib
import sys

import numpy as np

from trainer import config as config_lib
from trainer import csv_events
from trainer import keys
from trainer import vocabulary

# Columns that are put down as the files have them.
_AS_THEY_ARE = ('items', 'times_us', 'event_features', 'candidate_features',
                'labels')
_CHUNK = 1 << 22


class EventFiles:
    """The events of a config's files in a folder.

    users, actions: vocabulary.Codes; items: ItemCounts of training events;
    keys: of items that are texts; contexts: Codes of each context feature,
    context_counts: how often each code is in training files.
    num_train: events of training files, which come first. cut_us: the first
    held-out time, or -1.
    """

    def __init__(self, config, folder, lines=None):
        """lines: the item_table.Lines of the data set, if it has them."""
        self._config = config
        self._train, self._heldout = config_lib.data_files(
            config, pathlib.Path(folder))
        self.users = vocabulary.Codes()
        self.actions = vocabulary.Codes()
        self.contexts = [vocabulary.Codes()
                         for _ in config.model.context_features]
        self.items = vocabulary.ItemCounts()
        self.keys = keys.Keys() if lines is None else lines.keys
        self.has_heldout = bool(self._heldout)
        self.num_train = 0
        self.cut_us = -1
        if config.data.validate_from:
            self.cut_us = config_lib.time_us(config.data.validate_from,
                                             'data.validate_from')

    def read(self, store):
        """Appends all events to a store of columns.py: users, actions and
        contexts by their codes, the other columns as a Dataset has them.

        Raises ValueError naming file, line, column and value of a bad cell.
        """
        for part in self._parts(self._train):
            self._append(part, store)
            self._count_items(part)
            self.num_train += len(part['items'])
        self.context_counts = [codes.counts.copy() for codes in self.contexts]
        if self._heldout:
            firsts = []
            for part in self._parts(self._heldout):
                self._append(part, store)
                firsts += [int(part['times_us'].min())
                           ] if len(part['items']) else []
            self.cut_us = min(firsts)
        vocabulary.check_actions(self.actions, self._config)

    def _parts(self, paths):
        empty = True
        for path in paths:
            for part in csv_events.parts(path, self._config):
                empty = empty and not len(part['items'])
                yield part
        if empty:
            raise ValueError(f'{", ".join(map(str, paths))}: no events, only '
                             'a header')

    def _append(self, part, store):
        self.keys.add(*part['item_keys'])
        store.append('users', self.users.of(part['users']))
        store.append('actions', self.actions.of(part['actions']))
        if vocabulary.too_many_actions(self.actions):
            vocabulary.check_actions(self.actions, self._config)
        codes = np.zeros((len(part['items']), len(self.contexts)), np.int32)
        for column, texts in enumerate(part['contexts']):
            codes[:, column] = self.contexts[column].of(texts)
        store.append('context_rows', codes)
        for name in _AS_THEY_ARE:
            store.append(name, part[name])

    def _count_items(self, part):
        items = part['items']
        if self._config.data.validate_from:
            items = items[part['times_us'] < self.cut_us]
        if not self._config.data.catalogue or self._config.model.has_content:
            self.items.add(items)


def note_late(files, times_us):
    """Says how many events of training files [E, in their order] are held out
    all the same."""
    if not files.has_heldout:
        return
    times = times_us[:files.num_train]
    late = sum(int((times[at:at + _CHUNK] >= files.cut_us).sum())
               for at in range(0, len(times), _CHUNK))
    if late:
        print(f'note: {late:,} events of the training files are not before '
              'the first event of the held-out files; they are held out too',
              file=sys.stderr)
