"""The tensors of a bundle: names, shapes, and which of them shape a state.

This is the table of docs/model.md, section 6.
"""

import collections

from trainer import attention
from trainer import hyper as hyper_lib
from trainer import peers

# shape: tuple of int. shapes_state: the tensor is part of the fingerprint.
# in_items: it lives in items.safetensors, else in weights.safetensors.
TensorSpec = collections.namedtuple('TensorSpec',
                                    ['shape', 'shapes_state', 'in_items'])


def tensor_specs(hyper, num_items):
    """Returns {tensor name: TensorSpec} of a model; item_ids is not listed."""
    d = hyper.d_model
    specs = {}

    def add(name, *shape, state, items=False):
        specs[name] = TensorSpec(shape, state, items)

    add('action_embedding', len(hyper.actions) + 1, d, state=True)
    for name in ('gap_embedding', 'next_embedding', 'count_embedding'):
        add(name, hyper_lib.NUM_BUCKETS, d, state=True)
    if hyper.event_features:
        add('event_projection', d, len(hyper.event_feature_names), state=True)
    if hyper.peer:
        for name, shape in peers.tensor_shapes(hyper).items():
            add(name, *shape, state=False)
    else:
        _add_trunk(add, hyper)
    if hyper.any_dot_term:
        add('log_scale', 1, state=False)
    if hyper.target_aware != hyper_lib.OFF:
        _add_candidate_side(add, hyper)
    if hyper.num_seeds:
        _add_seeds(add, hyper)
    add('item_embedding', num_items + 1, d, state=True, items=True)
    add('item_bias', num_items + 1, state=False, items=True)
    return specs


def _add_trunk(add, hyper):
    d = hyper.d_model
    for index in range(hyper.num_state_layers):
        _add_layer(add, hyper, index)
    add('norm_user', d, state=False)
    add('w_user_out', d, d, state=False)


def _add_layer(add, hyper, index):
    d, heads, width = hyper.d_model, hyper.num_heads, hyper.ffn_width
    prefix = f'layers.{index}.'
    add(prefix + 'norm_attn', d, state=True)
    if index < hyper.num_layers and hyper.conv_width > 1:
        add(prefix + 'conv', hyper.conv_width, d, state=True)
    add(prefix + 'w_qkvg', 4 * d, d, state=True)
    for name, shape in attention.extra_tensors(hyper.attention, heads,
                                               d).items():
        add(prefix + name, *shape, state=True)
    add(prefix + 'norm_head', d, state=True)
    add(prefix + 'w_o', d, d, state=True)
    add(prefix + 'norm_ffn', d, state=True)
    add(prefix + 'w_12', 2 * width, d, state=True)
    add(prefix + 'w_3', d, width, state=True)


def _add_candidate_side(add, hyper):
    d, tasks, width = hyper.d_model, len(hyper.tasks), hyper.head_width
    if hyper.tells_candidates_user:
        add('w_user_in', d, d, state=False)
    for feature in hyper.context_features:
        add(f'context.{feature.name}', feature.num_rows, d, state=False)
    if hyper.candidate_features:
        add('candidate_projection', d, len(hyper.candidate_feature_names),
            state=False)
    if hyper.item_memory:
        facts = hyper.item_memory.num_facts
        add('memory_projection', d, facts, state=False)
        add('memory_head', tasks, facts, state=False)
    add('norm_cand', d, state=False)
    add('head.w1', tasks, width, d, state=False)
    add('head.b1', tasks, width, state=False)
    add('head.w2', tasks, width, state=False)
    add('head.b2', tasks, state=False)


def _add_seeds(add, hyper):
    d = hyper.d_model
    add('seed_embedding', hyper.num_seeds, d, state=False)
    add('norm_summary', d, state=False)
    if hyper.summary_attention:
        add('summary.norm_attn', d, state=False)
        add('summary.w_q', d, d, state=False)
        add('summary.w_kv', 2 * d, d, state=False)
        add('summary.w_o', d, d, state=False)
