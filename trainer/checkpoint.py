"""A trained model in one .npz: config, tensors, item ids and metrics."""

import json

import numpy as np

from trainer import config as config_lib


def save(path, config, tensors, item_ids, metrics, item_keys=()):
    """tensors: {name: float32 array} without item_ids; metrics: JSON-able;
    item_keys [N]: the texts of items that are known by texts."""
    np.savez(path, __config__=json.dumps(config.to_dict()),
             __metrics__=json.dumps(metrics), item_ids=item_ids,
             __item_keys__=np.array(item_keys, str), **tensors)


def load(path):
    """Returns (Config, {name: array} with item_ids, metrics)."""
    with np.load(path) as arrays:
        tensors = {name: arrays[name] for name in arrays.files
                   if name != '__item_keys__'}
    config = config_lib.from_dict(json.loads(str(tensors.pop('__config__'))))
    metrics = json.loads(str(tensors.pop('__metrics__')))
    return config, tensors, metrics


def item_keys(path):
    """The texts of a model's items [N], in the order of item_ids; [0] where
    items are numbers."""
    with np.load(path) as arrays:
        return arrays['__item_keys__']
