"""What tensors of a bundle have to be: names, shapes, dtypes and values."""

import numpy as np

from trainer import content
from trainer import tensors as tensors_lib

# As model/bundle_schema.cc: a logit's scale is exp of it.
MAX_LOG_SCALE = 20


def check(hyper, tensors, where):
    """Raises ValueError naming the first tensor that is not the model's."""
    ids = tensors.get('item_ids')
    if ids is None or ids.ndim != 1 or ids.dtype != np.uint64:
        raise ValueError(f'{where}: item_ids is missing or not U64 [N]')
    if len(np.unique(ids)) != len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise ValueError(f'{where}: item id {values[counts > 1][0]} occurs '
                         'more than once')
    shapes = {name: spec.shape for name, spec in
              tensors_lib.tensor_specs(hyper, len(ids)).items()}
    shapes.update(content.tensor_shapes(hyper))
    for name in sorted(set(tensors) - set(shapes) - {'item_ids'}):
        raise ValueError(f'{where}: tensor {name} is not part of this model')
    for name, shape in shapes.items():
        if name not in tensors:
            raise ValueError(f'{where}: tensor {name} is missing')
        _check_tensor(name, tensors[name], shape, where)


def _check_tensor(name, array, shape, where):
    if array.dtype != np.float32:
        raise ValueError(f'{where}: tensor {name} is {array.dtype}, not F32')
    if array.shape != shape:
        raise ValueError(f'{where}: tensor {name} has shape '
                         f'{list(array.shape)}, not {list(shape)}')
    if not np.isfinite(array).all():
        raise ValueError(f'{where}: tensor {name} holds NaN or infinity')
    if name == 'log_scale' and abs(array[0]) > MAX_LOG_SCALE:
        raise ValueError(f'{where}: tensor log_scale is {array[0]}; expected '
                         f'{-MAX_LOG_SCALE} to {MAX_LOG_SCALE}')
    if name.endswith('.decay_rate') and (array < 0).any():
        raise ValueError(f'{where}: tensor {name} holds {array.min()}; rates '
                         'are at least 0')
