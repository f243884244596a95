"""What a training writes for TensorBoard, while it runs."""

import time

from trainer import metric_tables

# Steps whose mean losses are one point.
INTERVAL = 50


def open_writer(folder):
    """A SummaryWriter into a folder, of whichever package is there.

    Raises ValueError, saying what to install, if none is.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ValueError(
                '--tensorboard: neither tensorboard nor tensorboardX is '
                'installed: pip install tensorboard') from None
    return SummaryWriter(str(folder))


class Board:
    """Scalars of one training, by step."""

    def __init__(self, writer):
        self._writer = writer
        self._forget()

    def _forget(self):
        self._losses, self._steps, self._events = 0, 0, 0
        self._begin = time.monotonic()

    def count(self, step, losses, events, learning_rate):
        """A step is done: its losses [3] (dot, target-aware, reconstruction),
        and its events, padding included."""
        self._losses = self._losses + losses
        self._steps += 1
        self._events += events
        if self._steps == INTERVAL:
            self._write(step, learning_rate, self._events,
                        time.monotonic() - self._begin)

    def _write(self, step, learning_rate, events, seconds):
        means = (self._losses / self._steps).tolist()
        for name, mean in zip(('dot', 'target_aware', 'reconstruction'),
                              means):
            self._writer.add_scalar(f'loss/{name}', mean, step)
        self._writer.add_scalar('learning_rate', learning_rate, step)
        self._writer.add_scalar('events_per_second',
                                events / max(seconds, 1e-9), step)
        self._forget()

    def show(self, record):
        """A round is done: what is left of it, and its validation if it has
        one."""
        if self._steps:
            # The round's speed: time has passed in validating since.
            self._write(record['step'], record['learning_rate'],
                        record['events'], record['seconds'])
        for name, row in metric_tables.rows(record.get('validation',
                                                       {})).items():
            for measure, value in metric_tables.figures(row).items():
                self._writer.add_scalar(f'validation {measure}/{name}', value,
                                        record['step'])
        self._writer.flush()
        # Validating is not what a step takes.
        self._forget()
