"""AdamW with warm-up, a cosine schedule, and a running mean of the weights."""

import contextlib
import math

import torch

from trainer import length
from trainer import sparse_rows
from trainer import start_share

_BETAS = (.9, .98)


class Optimizer:
    """Steps a model's parameters. All of apply() can be recorded on a GPU."""

    def __init__(self, model, settings, steps):
        self._settings = settings
        self._steps = steps
        self._done = 0
        self._parameters, tables = [], []
        for value in model.parameters():
            is_table = isinstance(value, sparse_rows.Table)
            (tables if is_table else self._parameters).append(value)
        rate, options = settings.learning_rate, {}
        # How much of the mean a step replaces.
        self._renewed = 1.
        device = self._parameters[0].device
        if device.type == 'cuda':  # A recorded step reads them there.
            rate = torch.tensor(rate, device=device)
            self._renewed = torch.tensor(1., device=device)
            options = {'capturable': True, 'fused': True}
        self._adam = torch.optim.AdamW(
            model.parameter_groups(settings.weight_decay), lr=rate,
            betas=_BETAS, **options)
        self._mean = self._first = None
        if settings.average_decay > 0:
            self._mean = [value.detach().clone() for value in self._parameters]
        if settings.start_share > 0:
            self._first = [value.detach().clone()
                           for value in self._parameters]
        self._tables = [sparse_rows.RowOptimizer(
            table, _BETAS, settings.average_decay > 0) for table in tables]
        self.learning_rate = 0.

    def next_learning_rate(self):
        """Moves on in the schedule; to be called before every step."""
        self.learning_rate = self._settings.learning_rate * self._factor()
        self._done += 1
        for group in self._adam.param_groups:
            group['lr'] = _set(group['lr'], self.learning_rate)
        # At first a polynomial mean (Shamir and Zhang 2013): a short training
        # has one, too, and the first steps are forgotten.
        self._renewed = _set(self._renewed, self._renewed_share())

    def _renewed_share(self):
        return max(1 - self._settings.average_decay, 3 / (3 + self._done))

    def _factor(self):
        warmup = length.warm_up_steps(self._settings, self._steps)
        if self._done < warmup:
            return (self._done + 1) / warmup
        share = min(1., (self._done - warmup) / max(1, self._steps - warmup))
        return .01 + .99 * .5 * (1 + math.cos(math.pi * share))

    def state_dict(self):
        """Tensors and whole numbers that load_state_dict goes on from."""
        return {'adam': self._adam.state_dict()['state'],
                'done': self._done, 'mean': self._mean,
                'tables': [table.state_dict() for table in self._tables]}

    def load_state_dict(self, state):
        """Of an Optimizer of the same model and settings."""
        self._adam.load_state_dict(
            {**self._adam.state_dict(), 'state': state['adam']})
        self._done = state['done']
        if self._mean is not None:
            for value, mean in zip(self._mean, state['mean']):
                value.copy_(mean)
        for table, of_table in zip(self._tables, state['tables']):
            table.load_state_dict(of_table)

    def zero_grad(self):
        self._adam.zero_grad(set_to_none=True)

    def apply(self):
        """Clips the gradients and takes a step."""
        for table in self._tables:
            table.gather()
        # It asks of each for nothing but its gradient.
        torch.nn.utils.clip_grad_norm_(self._parameters + self._tables,
                                       self._settings.gradient_norm)
        self._adam.step()
        for table in self._tables:
            table.step(self.learning_rate, self._renewed_share())
        if self._mean is not None:
            with torch.no_grad():
                # Not mean + share (value - mean): some values are infinite.
                torch._foreach_mul_(self._mean, 1 - self._renewed)
                torch._foreach_add_(self._mean, torch._foreach_mul(
                    self._parameters, self._renewed))

    @contextlib.contextmanager
    def kept(self):
        """The model has the weights to keep inside the block: their running
        mean, and of the first ones start_share."""
        self._swap()
        learned = self._mix_in_first()
        try:
            yield
        finally:
            self._put(learned)
            self._swap()

    def keep(self):
        """The model has the weights to keep from here on."""
        self._swap()
        self._mix_in_first()
        self._mean, self._first, self._tables = None, None, []

    @torch.no_grad()
    def _mix_in_first(self):
        """Returns what the weights were before; [] if nothing is mixed in."""
        if self._first is None:
            return []
        share = self._settings.start_share
        learned = [value.clone() for value in self._parameters]
        start_share.mix(self._parameters, learned, self._first, share)
        return learned

    @torch.no_grad()
    def _put(self, values):
        for parameter, value in zip(self._parameters, values):
            parameter.copy_(value)

    @torch.no_grad()
    def _swap(self):
        for table in self._tables:
            table.swap()
        if self._mean is not None:
            for value, mean in zip(self._parameters, self._mean):
                kept = value.clone()
                value.copy_(mean)
                mean.copy_(kept)


def _set(place, value):
    """The place, which holds the value: a tensor stays the one it is."""
    return place.fill_(value) if torch.is_tensor(place) else value
