"""What a model's tensors are before it has learned anything."""

import dataclasses
import math

import torch

from trainer import hyper as hyper_lib
from trainer import mechanisms

# In events; where a gate of trainer/gated.py starts that is said to keep all.
_LONGEST_HALF_LIFE = 1e6

# What from_counts gives the memory's head: for an item that it knows, and for
# the log of the item's decayed count.
_KNOWN_WEIGHT, _COUNT_WEIGHT = 2., 3.


@dataclasses.dataclass(frozen=True)
class Start:
    """What a model's first tensors are made by.

    item_std: standard deviation of items' embeddings. dot_scale: by what the
    dot term multiplies a cosine. dot_share: of the dot term's logits, as its
    own loss has them, the share that counts in a score. from_counts: names of
    tasks that start so, see below.
    """
    item_std: float = .02
    dot_scale: float = 10.
    dot_share: float = 1.
    from_counts: tuple = ()

    def is_match(self, hyper):
        """Whether the dedicated block starts as a match; see below."""
        return not self.from_counts and hyper.any_dot_term and (
            hyper.target_aware == hyper_lib.DEDICATED_BLOCK)


def first_value(name, shape, hyper, start):
    """The tensor of a name; a decay rate is its logarithm."""
    short = name.rsplit('.', 1)[-1]
    matches = start.is_match(hyper)
    is_block = matches and name.startswith(f'layers.{hyper.num_layers}.')
    if short == 'decay_rate':
        return _log_rates(hyper, is_block)
    if short == 'gate_bias':
        return _gate_biases(hyper, is_block)
    if is_block and short in ('alpha', 'beta'):
        return torch.full(shape, _match_scale(hyper, short))
    if short in ('distance_bias', 'time_bias', 'w_level', 'w_gate',
                 'w_strength', 'strength_bias'):
        return torch.zeros(shape)
    if short.startswith('norm_') or short in ('alpha', 'beta'):
        return torch.ones(shape)
    if short == 'conv':
        value = torch.zeros(shape)
        value[0] = 1  # Starts as no convolution.
        return value
    if short == 'log_scale':
        return torch.full(shape, math.log(start.dot_scale))
    if short == 'item_embedding':
        return start.item_std * torch.randn(shape)
    if short == 'seed_embedding':
        # As loud as sqrt(d) E_item: seeds read the state as items do at first.
        return math.sqrt(hyper.d_model) * start.item_std * torch.randn(shape)
    if (short.endswith('_embedding') or name.startswith('context.') or
            short in ('event_projection', 'candidate_projection')):
        # Quieter than the items: what an event is about comes first.
        return .08 * torch.randn(shape)
    if short == 'memory_head' and start.from_counts:
        return _by_decayed_count(shape, hyper, start.from_counts)
    if short in ('b1', 'b2', 'item_bias', 'w_user_in', 'w2', 'memory_head'):
        value = torch.zeros(shape)
        if short == 'w2' and matches:
            value[:, 0] = 1  # The hidden unit that reads the match, below.
        return value
    value = torch.randn(shape) / math.sqrt(shape[-1])
    if short == 'w1' and matches:
        value[:, 0] = _match_direction(hyper) / math.sqrt(hyper.d_model)
    if name == 'summary.w_o':
        return .1 * value  # Summaries join in as they become useful.
    if name.startswith('layers.'):
        return _layer_matrix(value, name, hyper, is_block)
    return value


# The dedicated block starts as a *match* between the candidate and the history.
#
# q and k begin equal, and so do g and v. Then sum(o * SiLU(g)) grows with how
# often the candidate's own kind is in the history: a sketch of d_h^2 dimensions
# a head. But o is normalised, which forgets how large it was. A small negative
# beta keeps that: o = alpha (share of the history) - |beta| (itself) changes
# its sign where the candidate's share of the history passes |beta| / alpha,
# 1 %. W_o adds the sum to one direction of x_c and one hidden unit of the head
# reads it. Training moves all of it; without this start it did not discover, in
# 30 epochs of grocery data, that people buy again what they bought before.
#
# Without dot terms nothing is to be found in a catalogue: labels of clicks are
# learned faster from an ordinary layer.
_MATCH_ALPHA, _MATCH_BETA = 32., -.32


# Where an item memory knows what a user had, and how often, a match has nothing
# to add, and blurs the order of their own items. A start *from counts* has no
# match: the memory's head ranks a user's items by their decayed count, of the
# longest half-life, and everything else adds nothing yet but the dot term's
# share. That is the best simple ranking (docs/quality.md); training goes on
# from there, also where there are too few events to learn it from.
#
# A task with labels is not about what comes next: its rates are where it
# starts.
def _by_decayed_count(shape, hyper, names):
    value = torch.zeros(shape)
    for row, task in zip(value, hyper.tasks):
        if task.name in names:
            row[0] = _KNOWN_WEIGHT
            row[1 + len(hyper.item_memory.half_lives_s)] = _COUNT_WEIGHT
    return value


def _match_scale(hyper, short):
    """alpha or beta; the delta rule has no alpha, as its state is no sum."""
    if short == 'alpha':
        return _MATCH_ALPHA
    if hyper.attention == mechanisms.GATED_DELTA:
        return _MATCH_BETA / _MATCH_ALPHA
    return _MATCH_BETA


def _match_direction(hyper):
    """+1 and -1 in turn: a direction [d] of mean 0."""
    return 1. - 2. * (torch.arange(hyper.d_model) % 2)


def _log_rates(hyper, is_block):
    """Logarithms of decay rates [H]; -inf is no decay.

    The block starts from the longest half-life in every head.
    """
    lives = [life if life > 0 else math.inf
             for life in hyper.initial_half_lives]
    if is_block:
        lives = [max(lives)] * len(lives)
    return torch.tensor([math.log(math.log(2) / life) if life < math.inf else
                         -math.inf for life in lives])


def _gate_biases(hyper, is_block):
    """b [H] of gates softplus(w . z + b) that start at the decay rates."""
    # A gate of no decay at all would have no gradient.
    rates = _log_rates(hyper, is_block).exp().clamp_min(
        math.log(2) / _LONGEST_HALF_LIFE)
    return torch.log(torch.expm1(rates.double())).float()


def _layer_matrix(value, name, hyper, is_block):
    """Initial w_qkvg, w_o, w_12 or w_3 of a layer, from N(0, 1 / inputs)."""
    d = hyper.d_model
    if name.endswith(('w_3', 'w_o')):
        value = .1 * value  # Tokens stay about their own item at first.
    if is_block and name.endswith('w_qkvg'):
        value[:d] *= 1.5
        value[d:2 * d] = value[:d]
        value[3 * d:] = value[2 * d:3 * d]
    if is_block and name.endswith('w_o'):
        value = value + _match_direction(hyper)[:, None] / math.sqrt(d)
    return value
