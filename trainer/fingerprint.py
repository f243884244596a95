"""The fingerprint: what two bundles share when they make the same states.

docs/model.md, section 6.
"""

import hashlib
import struct

import numpy as np

from trainer import content
from trainer import hyper as hyper_lib
from trainer import tensors as tensors_lib

_DTYPE_NAMES = {np.dtype('<f4'): 'F32', np.dtype('<u8'): 'U64'}


def fingerprint(hyper, tensors):
    """Lower-case hex SHA-256 over all that shapes a state.

    tensors: {name: little-endian array}, item_ids included.
    """
    num_items = len(tensors['item_ids'])
    specs = tensors_lib.tensor_specs(hyper, num_items)
    names = [name for name, spec in specs.items() if spec.shapes_state]
    # Rows are made of it while states are.
    names += content.tensor_shapes(hyper)
    digest = hashlib.sha256(_preamble(hyper).encode('utf-8'))
    for name in sorted(names + ['item_ids'], key=lambda n: n.encode('utf-8')):
        array = np.ascontiguousarray(tensors[name])
        shape = 'x'.join(str(size) for size in array.shape)
        line = f'tensor {name} {_DTYPE_NAMES[array.dtype]} {shape}\n'
        digest.update(line.encode('utf-8'))
        digest.update(array.tobytes())
    return digest.hexdigest()


def _preamble(hyper):
    dedicated = int(hyper.target_aware == hyper_lib.DEDICATED_BLOCK)
    lines = ['qlarank-state 1', f'd_model {hyper.d_model}',
             f'num_heads {hyper.num_heads}', f'num_layers {hyper.num_layers}',
             f'ffn_width {hyper.ffn_width}', f'conv_width {hyper.conv_width}',
             f'phi2 {hyper.phi2}', f'dedicated_block {dedicated}']
    lines += [f'action {name}' for name in hyper.actions]
    lines += [f'event_feature {name}' for name in hyper.event_feature_names]
    if hyper.item_memory:
        lines += [f'item_memory {hyper.item_memory.entries}']
        lines += [f'item_memory_half_life {life}'
                  for life in hyper.item_memory.half_lives_s]
    lines += _content_lines(hyper)
    return '\n'.join(lines) + '\n'


def _content_lines(hyper):
    """What the content tower looks things up by. Texts of data may hold line
    breaks, so their lengths are told."""
    lines = []
    for attribute in hyper.item_attributes:
        lines += [f'item_attribute {attribute.name}',
                  f'item_attribute_separator {_told(attribute.separator)}']
        lines += [f'item_attribute_value {_told(value)}'
                  for value in attribute.values]
    for number in hyper.item_numbers:
        lines += [f'item_number {number.name}',
                  f'item_number_mean {_bits(number.mean)}',
                  f'item_number_scale {_bits(number.scale)}']
    return lines


def _told(text):
    return f'{len(text.encode("utf-8"))} {text}'


def _bits(number):
    """Of a double, the highest first."""
    return struct.pack('>d', number).hex()
