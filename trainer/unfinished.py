"""What an interrupted training needs to go on as if nothing had happened.

After every epoch, all that the rest of a training depends on is written to a
file: weights, optimizer, random numbers, what was recorded. Only a training
with the same config and events goes on from it, and on a CPU it ends with the
bits of one that nobody interrupted.
"""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import pickle
import time

import numpy as np
import torch


# Writing a large catalogue's tables takes long: seconds that are not worth
# thinking of, and how many times as long as a save took the next one waits.
_SHORT_S, _REST = 5., 20.


class Unfinished:
    """The file of one training."""

    def __init__(self, path, config, data, clock=time.monotonic):
        """data: the Dataset that is trained on."""
        self.path = pathlib.Path(path)
        self._clock = clock
        self._next = -math.inf
        self._of = _digest(config, data)

    def save(self, state):
        """state: tensors, whole numbers and strings, in dicts and lists.

        Nothing is written soon after a save that took long.
        """
        begin = self._clock()
        if begin < self._next:
            return
        partial = self.path.with_suffix('.partial')
        torch.save({'of': self._of, 'state': state}, partial)
        os.replace(partial, self.path)
        end = self._clock()
        if end - begin > _SHORT_S:
            self._next = end + _REST * (end - begin)

    def load(self):
        """What was saved last, on the CPU; None when there is nothing or it is
        of another training. Raises ValueError when it cannot be read."""
        if not self.path.exists():
            return None
        try:
            found = torch.load(self.path, 'cpu', weights_only=True)
            return found['state'] if found['of'] == self._of else None
        except (EOFError, KeyError, RuntimeError, TypeError,
                pickle.UnpicklingError) as error:
            raise ValueError(f'{self.path}: cannot be read ({error}); remove '
                             'it to begin anew') from error

    def remove(self):
        """The training has ended."""
        self.path.unlink(missing_ok=True)


def _digest(config, data):
    digest = hashlib.sha256(json.dumps(config.to_dict()).encode('utf-8'))
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                value = value.astype(str)
            digest.update(np.ascontiguousarray(value))
        else:
            digest.update(repr(value).encode('utf-8'))
    return digest.hexdigest()
