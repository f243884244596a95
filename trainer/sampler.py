"""Negatives: drawn from mixtures whose expected counts are known.

A drawn item stands for 1 / (its expected count in the sample) items. So the
expectation of a sum over the sample is the sum over the catalogue, whatever the
mixture (the logQ correction: Bengio and Senécal 2008).
"""

import dataclasses

import torch


@dataclasses.dataclass
class Shared:
    """R different items that all positions of a step share as negatives.

    All [R]. rows rise. log_weights: of the items that each stands for, its
    count in the sample / its expected count. uniform_share: its share of the
    uniform draws, whose mean has the catalogue's mean as expectation.
    """
    rows: torch.Tensor
    log_weights: torch.Tensor
    uniform_share: torch.Tensor

    def find(self, rows):
        """Where rows [M] would stand among these, and whether they do."""
        place = torch.searchsorted(self.rows, rows)
        place = place.clamp_max(len(self.rows) - 1)
        return place, self.rows[place] == rows


class Sampler:
    """Draws negatives from a mixture and knows each one's expected count.

    Shares of uniform, of popularity, and of the user's own history: uniform
    negatives alone hardly ever hold what a user buys again and again, which is
    what the top of the ranking has to tell apart.
    """

    def __init__(self, counts, training):
        """counts: training events of each row [N + 1]; row 0 counts as none."""
        counts = counts.clone()
        counts[0] = 0
        self._cumulative = counts.cumsum(0)
        # Whole numbers: a draw is exact for any number of items and events.
        self._total = int(self._cumulative[-1])
        self.popularity = counts.float() / max(self._total, 1)
        self.num_rows = len(counts)
        self.training = training

    def draw(self, batch, positions):
        """Rows [B, P, C] and their log expected counts; positions [B, P]."""
        shape = positions.shape
        training, device = self.training, positions.device
        total = training.negatives
        own = round(total * training.history_share)
        popular = round(total * training.popular_share) * (self._total > 0)
        uniform = total - own - popular
        parts = [self._uniform(shape + (uniform,), device)]
        if popular:
            parts.append(self._popular(shape + (popular,), device))
        if own:
            share = torch.rand(shape + (own,), device=device)
            columns = (share * (positions[..., None] + 1)).long()
            parts.append(torch.gather(
                batch.rows[:, None].expand(-1, shape[1], -1), 2, columns))
        rows = torch.cat(parts, dim=-1)
        expected = uniform / self.num_rows + popular * self.popularity[rows]
        if own:
            expected = expected + own * _history_share(batch, positions, rows)
        return rows, expected.log()

    def shared(self):
        """A step's negatives of the dot term: half of them by popularity."""
        device, total = self.popularity.device, self.training.dot_negatives
        popular = total // 2 * (self._total > 0)
        uniform = total - popular
        parts = [self._uniform((uniform,), device)]
        if popular:
            parts.append(self._popular((popular,), device))
        rows, inverse = torch.unique(torch.cat(parts), return_inverse=True)
        expected = uniform / self.num_rows + popular * self.popularity[rows]
        counts = torch.bincount(inverse, minlength=len(rows))
        evenly = torch.bincount(inverse[:uniform], minlength=len(rows))
        return Shared(rows, (counts / expected).log(), evenly / uniform)

    def _uniform(self, shape, device):
        return torch.randint(self.num_rows, shape, device=device)

    def _popular(self, shape, device):
        """Rows of random training events inside the catalogue."""
        events = torch.randint(self._total, shape, device=device)
        return torch.searchsorted(self._cumulative, events, right=True)


def _history_share(batch, positions, rows):
    """Share of events 0 ... position that are of each row [B, P, C]."""
    columns = torch.arange(batch.rows.shape[1], device=rows.device)
    past = columns <= positions[..., None]  # [B, P, n]
    counts = [((rows[:, p, :, None] == batch.rows[:, None]) &
               past[:, p, None]).sum(-1) for p in range(positions.shape[1])]
    return torch.stack(counts, 1) / (positions[..., None] + 1)
