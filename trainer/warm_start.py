"""Beginning a training with the tensors of another model.

What has a name keeps what it learned under that name: items by their ids, and
actions, context values, features, tasks and attribute values by theirs. Other
tensors are taken where their shapes are the same. What is new starts as it
always does, and what is gone is left behind.
"""

import dataclasses
import pathlib

import numpy as np
import torch

from trainer import checkpoint
from trainer import content
from trainer import export
from trainer import hyper as hyper_lib

# Tensors that have one row a task.
_OF_TASKS = ('head.w1', 'head.b1', 'head.w2', 'head.b2', 'memory_head')


@dataclasses.dataclass
class Start:
    """A model to begin with: its Hyper, and {name: array} with item_ids."""
    path: str
    hyper: hyper_lib.Hyper
    tensors: dict

    def apply(self, model, item_ids):
        """Changes a Model of a catalogue; returns lines that say what it was
        given."""
        # to_arrays shares its memory with the model.
        mine = {name: value.copy() for name, value in
                model.to_arrays().items()}
        theirs = self._moved(model.hyper)
        taken, left = [], []
        axes = dict(_axes(model.hyper, self.hyper))
        rows = _places(self.tensors['item_ids'].tolist(), item_ids.tolist())
        rows = _with_first(rows)
        of_items = {name: (0, *rows) for name in ('item_embedding',
                                                  'item_bias')}
        for name, value in mine.items():
            if name not in theirs or not _take(
                    value, theirs[name], *{**axes, **of_items}.get(name, ())):
                left.append(name)
            else:
                taken.append(name)
        if model.content is not None:
            _leave_to_content(model, mine, rows[0])
        model.load_arrays(mine)
        kept, old = len(rows[0]) - 1, len(self.tensors['item_ids'])
        lines = [f'{self.path}: {len(taken)} of {len(mine)} tensors are taken; '
                 f'{kept:,} items are known, {len(item_ids) - kept:,} are new, '
                 f'{old - kept:,} are gone']
        if left:
            lines.append('as without it: ' + ', '.join(left))
        return lines

    def _moved(self, hyper):
        """The tensors, with the dedicated block where the new model has it,
        and no layer in the place of a block."""
        mine, theirs = hyper.num_layers, self.hyper.num_layers
        block = hyper_lib.DEDICATED_BLOCK
        both = hyper.target_aware == self.hyper.target_aware == block
        moved = {}
        for name, value in self.tensors.items():
            if name.startswith('layers.'):
                _, index, short = name.split('.', 2)
                if int(index) == theirs and both:
                    name = f'layers.{mine}.{short}'
                elif int(index) >= min(mine, theirs):
                    continue
            moved[name] = value
        if hyper.item_memory != self.hyper.item_memory:
            moved = {name: value for name, value in moved.items()
                     if not name.startswith('memory_')}
        return moved


def load(path):
    """A Start of a model.npz or of a bundle's folder."""
    if pathlib.Path(path).is_dir():
        bundle = export.read(path)
        return Start(str(path), bundle.hyper, bundle.tensors)
    config, tensors, _ = checkpoint.load(path)
    return Start(str(path), config.model, tensors)


def _places(theirs, mine):
    """(places in mine, places in theirs) of what both have."""
    index = {name: place for place, name in enumerate(theirs)}
    found = [(place, index[name]) for place, name in enumerate(mine)
             if name in index]
    return tuple(np.array(found, int).reshape(-1, 2).T)


def _with_first(places):
    """The same behind a row 0 that both have."""
    return tuple(np.concatenate([[0], part + 1]) for part in places)


def _axes(mine, theirs):
    """(tensor name, (axis, places in mine, places in theirs))."""
    def names(items):
        return [item.name for item in items]

    def of(field, name=lambda items: items):
        return _places(name(getattr(theirs, field)), name(getattr(mine, field)))
    actions = of('actions')
    # Behind the actions there is a candidate's row.
    yield 'action_embedding', (0, *(
        np.append(part, len(hyper.actions))
        for part, hyper in zip(actions, (mine, theirs))))
    yield 'event_projection', (1, *of('event_feature_names'))
    yield 'candidate_projection', (1, *of('candidate_feature_names'))
    for name in _OF_TASKS:
        yield name, (0, *of('tasks', names))
    yield content.NUMBERS, (0, *of('item_numbers', names))
    for field, prefix in (('context_features', 'context.'),
                          ('item_attributes', content.PREFIX)):
        known = {feature.name: feature for feature in getattr(theirs, field)}
        for feature in getattr(mine, field):
            other = known.get(feature.name)
            bounds = getattr(feature, 'boundaries', ())
            # Rows of a number are its own where it is cut up alike.
            if other and (not bounds or bounds != other.boundaries):
                yield prefix + feature.name, (0, *_with_first(_places(
                    other.values, feature.values)))


def _take(value, other, axis=None, at=None, at_other=None):
    """Writes another model's array into one; whether its shape allows it."""
    if axis is None:
        if value.shape != other.shape:
            return False
        value[...] = other
        return True
    if (np.delete(value.shape, axis) != np.delete(other.shape, axis)).any():
        return False
    np.moveaxis(value, axis, 0)[at] = np.moveaxis(other, axis, 0)[at_other]
    return True


@torch.no_grad()
def _leave_to_content(model, arrays, known):
    """Makes whole rows of arrays items' own parts, beside the content's, and
    gives the content its tables. known: rows that were taken."""
    for name, table in model.content.tables.items():
        table.copy_(torch.from_numpy(arrays[name.replace('__', '.')]))
    rows, biases = (part.cpu().numpy() for part in model.content())
    for name, part in (('item_embedding', rows), ('item_bias', biases)):
        own = model.values[name].detach().cpu().numpy().copy()
        own[known] = arrays[name][known] - part[known]
        arrays[name] = own
