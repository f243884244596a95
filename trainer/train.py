"""The training loop."""

import itertools
import json
import math
import sys
import time

import numpy as np
import torch

from trainer import batches
from trainer import dot_loss
from trainer import initial
from trainer import labelled_loss
from trainer import length
from trainer import losses
from trainer import models
from trainer import processors
from trainer import recent
from trainer import start_share
from trainer import steps
from trainer import stopping
from trainer import stream
from trainer.optimizer import Optimizer
from trainer.progress import Progress


def train(config, data, validate=None, device='cpu', validate_every=None,
          quiet=False, unfinished=None, start=None, board=None):
    """Trains on all events of a data set.

    validate: None, or a function of (hyper, params) that returns metrics,
    called at the end and every validate_every rounds (length.round_steps), of
    which None makes about twenty in all and 0 none. The model is that of the
    best validation, and training stops when training.patience were no better.
    unfinished: None, or the Unfinished that an interrupted training goes on
    from. start: a warm_start.Start. board: a board.Board. Returns (Model,
    history): history has one dict a round.
    """
    settings = config.training
    _check_histories(config, data)
    processors.use_all(device)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    generator = torch.Generator(device).manual_seed(settings.seed)
    source = batches.Source(data, device)
    model = _start(config, data, source)
    if start is not None:
        print('\n'.join(start.apply(model, data.item_ids)))
    fixed = steps.has_fixed_shapes(source, config, model.num_items)
    num_batches = batches.count_batches(data.offsets, settings, fixed)
    total = length.steps(settings, num_batches)
    for note in length.notes(settings, total):
        print(note, file=sys.stderr)
    chooses = validate and settings.choose_start_share
    first = start_share.first_weights(model) if chooses else None
    optimizer = Optimizer(model, settings, total)
    step = steps.Step(model, optimizer, source, config, num_batches)
    run = _Run(model, optimizer,
               stream.Stream(source, settings, rng, generator, fixed), device,
               board)
    size = length.round_steps(settings, num_batches)
    if validate_every is None:
        validate_every = max(1, round(total / size / 20))
    lately = torch.from_numpy(recent.shift(data, settings.recent_days)).to(
        device)
    with Progress(total, quiet) as progress:
        if unfinished and run.restore(unfinished.load()):
            progress.go_on(run.history[-1], unfinished.path)
        while run.steps < total and not stopping.is_over(run.history,
                                                         settings.patience):
            model.train()
            record = run.train(step, min(size, total - run.steps), progress)
            record['epoch'] = round(run.steps / num_batches, 3)
            is_last = run.steps == total
            if validate and (is_last or validate_every and
                             len(run.history) % validate_every == 0):
                with optimizer.kept():
                    record['validation'] = validate(config.model,
                                                    _detached(model, lately))
                    run.keep_best()
            progress.show(record)
            if board:
                board.show(record)
            if unfinished:
                unfinished.save(run.state())
    optimizer.keep()
    run.take_best()
    if first:
        start_share.choose(model, first, stopping.best(run.history),
                           lambda model: validate(config.model,
                                                  _detached(model, lately)))
    with torch.no_grad():
        model.values['item_bias'].add_(lately)
    return model.eval(), run.history


def _check_histories(config, data):
    """Raises ValueError if there is nothing that came next to learn from."""
    if np.diff(data.offsets).max(initial=0) < 2:
        raise ValueError(
            f'none of {len(data.users):,} users has two events to train on, '
            'and a model learns from what came next: is data.user = '
            f'"{config.data.user}" the column that says whose events are?')


def _start(config, data, source):
    """A model that knows how popular items are, or how likely labels."""
    settings = config.training
    window = settings.reconstruction_weight and settings.reconstruction_window
    is_sparse = dot_loss.is_sampled(settings, len(data.item_ids))
    if is_sparse:
        _check_sparse(settings, len(data.item_ids))
    model = models.Model(config.model, len(data.item_ids),
                         _start_of(config, source), settings.dropout, window,
                         data.item_table, is_sparse).to(source.device)
    for tensor, values in (('event_projection', data.event_features),
                           ('candidate_projection', data.candidate_features)):
        if values.shape[1]:
            model.normalise(tensor, values)
    if settings.average_start:
        model.start_as_average()
    if labelled_loss.applies(source):
        model.start_from_rates(labelled_loss.rates(data))
    counts = source.item_counts()
    counts[0] = 0  # Each unknown item is rare.
    if config.model.has_content:
        model.know_by_content(counts, config.data.min_item_count,
                              settings.content_only_share)
    if config.model.any_dot_term and not labelled_loss.applies(source):
        model.start_from_popularity(counts)
    return model


def _check_sparse(settings, num_items):
    """Raises ValueError for what wants all items in every step."""
    for name, needed in (('dot_share', 1), ('start_share', 0),
                         ('choose_start_share', False)):
        value = getattr(settings, name)
        if value != needed:
            raise ValueError(
                f'training.{name} is {value:g}; it must be {needed} where '
                f'a step knows some items only, as of {num_items:,} '
                '(training.full_softmax_items)')


def _start_of(config, source):
    """How a model's tensors are made: an initial.Start."""
    settings = config.training
    counted = [task.name for index, task in enumerate(config.model.tasks)
               if not losses.task_has_labels(source, index)]
    return initial.Start(settings.item_init_std, settings.dot_scale,
                         settings.dot_share,
                         tuple(counted) if settings.starts_from_counts else ())


class _Run:
    """A training so far: all that what is to come depends on, but for config
    and data. steps: that are done; history: a record for each round."""

    def __init__(self, model, optimizer, found, device, board):
        """found: the Stream."""
        self._board = board
        self._model = model
        self._optimizer = optimizer
        self._stream = found
        self._on_gpu = str(device).startswith('cuda')
        self._best = None
        self.steps = 0
        self.history = []

    def train(self, step, count, progress):
        """So many steps; returns the record of their mean losses."""
        begin, total, events = time.monotonic(), 0, 0
        for batch in progress.counted(itertools.islice(self._stream, count)):
            self._optimizer.next_learning_rate()
            losses = step(batch)
            total += losses
            events += batch.rows.numel()
            self.steps += 1
            if self._board:
                self._board.count(self.steps, losses, batch.rows.numel(),
                                  self._optimizer.learning_rate)
        means = (total / count).tolist()
        self._check_losses(means)
        dot, target_aware, rebuilt = means
        self.history.append({
            'step': self.steps, 'dot_loss': round(dot, 4),
            'target_aware_loss': round(target_aware, 4),
            'reconstruction_loss': round(rebuilt, 4),
            'learning_rate': self._optimizer.learning_rate,
            'events': events,
            'seconds': round(time.monotonic() - begin, 3)})
        return self.history[-1]

    def _check_losses(self, means):
        """Raises ValueError unless all are finite: nothing can be learned any
        more, and the weights are lost."""
        for name, mean in zip(('dot', 'target-aware', 'reconstruction'), means):
            if not math.isfinite(mean):
                raise ValueError(
                    f'the {name} loss is {mean} after {self.steps:,} steps, '
                    'and with it all weights; a smaller '
                    'training.learning_rate may help, or another '
                    'training.seed')

    def keep_best(self):
        """Keeps the weights if the newest validation is the best."""
        if stopping.best(self.history) is self.history[-1]:
            self._best = {name: value.cpu().clone() for name, value in
                          self._model.state_dict().items()}

    def take_best(self):
        """Gives the model the weights of the best validation, if any."""
        if self._best is not None:
            self._model.load_state_dict(self._best)

    def state(self):
        """For trainer/unfinished.py."""
        return {'model': self._model.state_dict(),
                'optimizer': self._optimizer.state_dict(),
                'stream': self._stream.state(), 'best': self._best,
                'torch': torch.get_rng_state(),
                'cuda': torch.cuda.get_rng_state() if self._on_gpu else None,
                'steps': self.steps, 'history': json.dumps(self.history)}

    def restore(self, state):
        """Goes on from what state() gave. Returns whether it is not None."""
        if state is None:
            return False
        self._model.load_state_dict(state['model'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._stream.restore(state['stream'])
        self._best = state['best']
        self.steps = state['steps']
        self.history = json.loads(state['history'])
        torch.set_rng_state(state['torch'])
        if state['cuda'] is not None:
            torch.cuda.set_rng_state(state['cuda'])
        return True


@torch.no_grad()
def _detached(model, lately):
    """The tensors of a bundle; whoever trains on calls train()."""
    model.eval()
    params = {name: value.detach() for name, value in model.params().items()}
    return {**params, 'item_bias': params['item_bias'] +
            model.dot_share * lately}
