"""The batches of one epoch after another, which can be gone on from."""

import json

from trainer import batches


class Stream:
    """An endless iterator of Batches.

    What it is at a batch is what the random numbers were when the epoch began,
    and how many of its batches were taken.
    """

    def __init__(self, source, settings, rng, generator, fixed_shapes):
        """rng: of windows and batches; generator: of the order in moments."""
        self._source = source
        self._settings = settings
        self._rng, self._generator = rng, generator
        self._fixed_shapes = fixed_shapes
        self._found = iter(())
        self._taken = 0
        self._begin = self._random()

    def __iter__(self):
        return self

    def __next__(self):
        batch = next(self._found, None)
        if batch is None:
            self._start_epoch()
            batch = next(self._found)
        self._taken += 1
        return batch

    def _start_epoch(self):
        self._begin, self._taken = self._random(), 0
        self._source.shuffle_moments(self._generator)
        self._found = batches.epoch(self._source, self._settings, self._rng,
                                    self._fixed_shapes)

    def _random(self):
        return {'rng': json.dumps(self._rng.bit_generator.state),
                'generator': self._generator.get_state()}

    def state(self):
        """Tensors, strings and whole numbers that restore() goes on from."""
        return {**self._begin, 'taken': self._taken}

    def restore(self, state):
        """Goes on after the batches that were taken."""
        self._rng.bit_generator.state = json.loads(state['rng'])
        self._generator.set_state(state['generator'])
        if state['taken']:
            self._start_epoch()
            for _ in range(state['taken']):
                next(self)
