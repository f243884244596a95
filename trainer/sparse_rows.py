"""Tables of which a step changes only the rows that it looked up.

A catalogue of millions of items has tables of gigabytes, and a step of training
looks up some ten thousands of their rows. So the gradient of a Table is those
rows', and RowOptimizer takes a step for them alone. It is Adam on each row's
own clock: a row moves as Adam would move it if the steps that looked it up were
all that there are. Dense Adam differs for a row that is not looked up: it goes on
moving it by its momentum, and forgets both moments meanwhile.
"""

import torch
from torch import nn


# That rows are inside the table: they have been looked up. PyTorch 1.13 has no
# such option and does not check; 2.x warns where nothing is said.
_UNCHECKED = {'check_invariants': False} if 'check_invariants' in (
    torch.sparse_coo_tensor.__doc__ or '') else {}


class Table(nn.Parameter):
    """A parameter [N] or [N, d] that is only read by look_up()."""

    def look_up(self, rows):
        """Rows [...]: [...] or [..., d]."""
        return _LookUp.apply(self, rows)


class _LookUp(torch.autograd.Function):
    """table[rows], whose gradient is sparse."""

    @staticmethod
    def forward(ctx, table, rows):
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return table.detach()[rows]

    @staticmethod
    def backward(ctx, gradient):
        rows, = ctx.saved_tensors
        values = gradient.reshape(-1, *ctx.shape[1:])
        return torch.sparse_coo_tensor(rows.reshape(1, -1), values,
                                       ctx.shape, **_UNCHECKED), None


class RowOptimizer:
    """Adam for the looked up rows of one Table, and their running mean.

    grad: of those rows [R] or [R, d], between gather() and step(), for whoever
    clips gradients; None where nothing was looked up.
    """

    def __init__(self, table, betas, with_mean, epsilon=1e-8):
        self.table = table
        self.grad = None
        self._betas, self._epsilon = betas, epsilon
        self._rows = None
        self._first = torch.zeros_like(table, requires_grad=False)
        self._second = torch.zeros_like(table, requires_grad=False)
        self._steps = torch.zeros(len(table), device=table.device)
        self._mean = table.detach().clone() if with_mean else None
        # The log of what a mean that began with the first step has kept of its
        # beginning: now, and when each row's mean was made.
        self._kept = 0.
        self._kept_then = torch.zeros(
            len(table) if with_mean else 0, dtype=torch.float64,
            device=table.device)

    def gather(self):
        """Takes the gradient from the table."""
        if self.table.grad is None:
            self._rows = self.grad = None
            return
        found = self.table.grad.coalesce()
        self._rows, self.grad = found.indices()[0], found.values()
        self.table.grad = None

    @torch.no_grad()
    def step(self, learning_rate, renewed):
        """Moves the rows; the mean replaces a share `renewed` of itself."""
        kept = self._kept
        if self._mean is not None:
            self._kept += float(torch.log1p(torch.tensor(
                -renewed, dtype=torch.float64)))
        if self.grad is None:
            return
        rows, grad = self._rows, self.grad
        columns = (-1,) + (1,) * (grad.dim() - 1)
        before = self.table[rows]
        after = before - learning_rate * self._direction(rows, grad, columns)
        self.table[rows] = after
        if self._mean is not None:
            share = (kept - self._kept_then[rows]).exp().to(grad.dtype)
            mean = before + share.view(columns) * (self._mean[rows] - before)
            self._mean[rows] = mean + renewed * (after - mean)
            self._kept_then[rows] = self._kept
        self._rows = self.grad = None

    def _direction(self, rows, grad, columns):
        """Adam's step by a learning rate of 1; moves the moments."""
        a, b = self._betas
        first = a * self._first[rows] + (1 - a) * grad
        second = b * self._second[rows] + (1 - b) * grad.square()
        steps = self._steps[rows] + 1
        self._first[rows], self._second[rows] = first, second
        self._steps[rows] = steps
        steps = steps.view(columns)
        scale = (second / (1 - b ** steps)).sqrt() + self._epsilon
        return first / (1 - a ** steps) / scale

    @torch.no_grad()
    def swap(self):
        """The table has the mean of its rows, which keeps the rows' values;
        again: as it was. A step may follow the second only."""
        if self._mean is None:
            return
        share = (self._kept - self._kept_then).exp().to(self.table.dtype)
        share = share.view((-1,) + (1,) * (self.table.dim() - 1))
        for mean, value, part in zip(*(x.split(_ROWS) for x in (
                self._mean, self.table.data, share))):
            caught_up = part * mean + (1 - part) * value
            mean.copy_(value)
            value.copy_(caught_up)
        self._kept_then.fill_(self._kept)

    def state_dict(self):
        """Tensors that load_state_dict goes on from."""
        return {'first': self._first, 'second': self._second,
                'steps': self._steps, 'mean': self._mean,
                'kept': torch.tensor(self._kept, dtype=torch.float64),
                'kept_then': self._kept_then}

    def load_state_dict(self, state):
        """Of a RowOptimizer of the same Table."""
        self._kept = float(state['kept'])
        for mine, name in ((self._first, 'first'), (self._second, 'second'),
                           (self._steps, 'steps'), (self._mean, 'mean'),
                           (self._kept_then, 'kept_then')):
            if mine is not None:
                mine.copy_(state[name])


# Rows that are worked on at a time where all are.
_ROWS = 1 << 16
