"""Small data sets with ties, and batches of them, for tests of losses."""

import numpy as np

from trainer import batches
from trainer import config as config_lib
from trainer import dataset


def config(data=None, model=None, **training):
    """A Config of a tiny model."""
    return config_lib.from_dict({
        'name': 'tiny', 'data': {'min_item_count': 1, **(data or {})},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'head_width': 8, 'conv_width': 2,
                  'initial_half_lives': [4., 0.], 'actions': ['view', 'buy'],
                  **(model or {})},
        'training': {'dropout': 0., **training}})


def data(counts, num_items=12, unknown=.1, seed=1, ordered=False):
    """A Dataset of users with so many events each, about half of which share
    their time with the one before."""
    rng = np.random.default_rng(seed)
    total = sum(counts)
    rows = rng.integers(1, num_items + 1, total) * (
        rng.random(total) >= unknown)
    seconds = np.concatenate([np.cumsum(
        rng.integers(0, 2, count) * rng.integers(1, 10_000, count))
        for count in counts])
    labels = np.where(rng.random((total, 1)) < .5, np.nan,
                      rng.integers(0, 2, (total, 1)))
    return dataset.Dataset(
        users=np.array([f'u{i}' for i in range(len(counts))]),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        item_ids=np.arange(100, 100 + num_items, dtype=np.uint64),
        items=(rows + 99).astype(np.uint64), rows=rows.astype(np.int32),
        action_names=np.array(['view', 'buy']),
        actions=rng.integers(0, 2, total).astype(np.int16),
        times_us=(1_500_000_000 + seconds) * 1_000_000,
        event_features=np.zeros((total, 0), np.float32),
        candidate_features=np.zeros((total, 0), np.float32),
        event_sets=np.zeros((total, 0), np.uint8),
        candidate_sets=np.zeros((total, 0), np.uint8),
        event_table=np.zeros((0, 0), np.int16),
        candidate_table=np.zeros((0, 0), np.int16),
        context_rows=np.zeros((total, 0), np.int16),
        labels=labels.astype(np.float32),
        item_features=np.zeros((num_items + 1, 0), np.float32),
        item_sets=np.zeros((num_items + 1, 0), np.uint8),
        text_ids=np.zeros(0, np.uint64), texts=np.zeros(0, str), cut_us=-1,
        ordered=ordered,
        categories={'event_sets': [], 'candidate_sets': []},
        column_names={'event_features': [], 'candidate_features': [],
                      'event_sets': [], 'candidate_sets': [],
                      'context_rows': [], 'labels': ['next'],
                      'item_features': [], 'item_sets': []})


def whole(events):
    """(Source, a Batch of everybody's whole history)."""
    source = batches.Source(events, 'cpu')
    return source, source.cut(events.offsets[:-1], np.diff(events.offsets))
