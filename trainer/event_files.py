"""Reads the events of a data set's files, in their order, a part at a time."""

import pathlib
import sys

import numpy as np

from trainer import config as config_lib
from trainer import csv_events
from trainer import hyper as hyper_lib
from trainer import keys
from trainer import vocabulary

# Columns that are put down as the files have them.
_AS_THEY_ARE = ('items', 'times_us', 'event_features', 'candidate_features',
                'labels')
_CHUNK = 1 << 22


class EventFiles:
    """The events of a config's files in a folder.

    users, actions: vocabulary.Codes; items: ItemCounts of training events;
    keys: of items that are texts. contexts: Codes of each context feature;
    categories {'event_sets', 'candidate_sets'}: of each category.
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
        self.categories = {
            f'{kind}_sets': [vocabulary.Codes() for _ in hyper_lib.categories(
                getattr(config.model, f'{kind}_features'))]
            for kind in ('event', 'candidate')}
        self._trained = {}
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
        self._trained = {codes: codes.counts.copy()
                         for codes in self._coded()}
        if self._heldout:
            firsts = []
            for part in self._parts(self._heldout):
                self._append(part, store)
                firsts += [int(part['times_us'].min())
                           ] if len(part['items']) else []
            self.cut_us = min(firsts)
        vocabulary.check_actions(self.actions, self._config)

    def training_counts(self, codes):
        """How often each code of contexts or categories is in training files.
        """
        counts = np.zeros(len(codes), np.int64)
        trained = self._trained[codes]
        counts[:len(trained)] = trained  # Later ones are in none of them.
        return counts

    def _coded(self):
        return [*self.contexts, *(codes for of_kind in self.categories.values()
                                  for codes in of_kind)]

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
        count = len(part['items'])
        store.append('context_rows',
                     _coded(self.contexts, part['contexts'], count))
        for name, columns in self.categories.items():
            store.append(name, _coded(columns, part[name], count))
        for name in _AS_THEY_ARE:
            store.append(name, part[name])

    def _count_items(self, part):
        items = part['items']
        if self._config.data.validate_from:
            items = items[part['times_us'] < self.cut_us]
        if not self._config.data.catalogue or self._config.model.has_content:
            self.items.add(items)


def _coded(columns, texts, count):
    """Codes [count, n] of n columns of Texts [count]."""
    codes = np.zeros((count, len(columns)), np.int32)
    for at, (column, of_column) in enumerate(zip(columns, texts)):
        codes[:, at] = column.of(of_column)
    return codes


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
