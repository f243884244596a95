"""A trained model in one .npz: config, tensors, item ids and metrics."""

import json

import numpy as np

from trainer import config as config_lib


def save(path, config, tensors, item_ids, metrics):
    """tensors: {name: float32 array} without item_ids; metrics: JSON-able."""
    np.savez(path, __config__=json.dumps(config.to_dict()),
             __metrics__=json.dumps(metrics), item_ids=item_ids, **tensors)


def load(path):
    """Returns (Config, {name: array} with item_ids, metrics)."""
    with np.load(path) as arrays:
        tensors = {name: arrays[name] for name in arrays.files}
    config = config_lib.from_dict(json.loads(str(tensors.pop('__config__'))))
    metrics = json.loads(str(tensors.pop('__metrics__')))
    return config, tensors, metrics
