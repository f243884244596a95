"""The peers of one bundle and one user, ready to run."""

import logging
import pathlib
import tempfile

import numpy as np
import torch

from bench.peers import forms, network, runners
from trainer import export, reference

median_seconds = forms.median_seconds
EXAMPLE_ROWS = torch.zeros(128, dtype=torch.long)
SOFTMAX_CHUNK = 256
DTYPES = {'f32': torch.float32, 'bf16': torch.bfloat16}


class Track:
    """events: item rows, one every `gap` seconds from first_second on."""

    def __init__(self, bundle, events, first_second, gap, rows):
        torch.set_num_threads(1)
        # ONNX Runtime's quantizer advises, on the root logger.
        logging.getLogger().setLevel(logging.ERROR)
        bundle = export.read(bundle)
        self.hyper, self.params = bundle.hyper, bundle.params()
        self.rows = rows
        exact = bundle.params(torch.float64)
        state = reference.empty_state(self.hyper, torch.float64)
        at = lambda i: 1_000_000 * (first_second + gap * i)
        for i, item in enumerate(events):
            state = reference.append(self.hyper, exact, state,
                                     reference.Event(item, 0, at(i)))
        self.readouts = network.readouts(self.hyper, exact, state,
                                         at(len(events)))

    def peers(self):
        """{label: its forms (forms.py)}."""
        return {**{f'PyTorch {name}': runners.torch_forms(
                       *self._network(dtype)) for name, dtype in
                   DTYPES.items()},
                **{f'ONNX Runtime {name}': self._onnx(name)
                   for name in ('f32', 'bf16', 'int8')}}

    def _network(self, dtype):
        module = network.CandidateNetwork(self.hyper, self.params).to(dtype)
        return module, [self.readouts[name].to(dtype)
                        for name in network.INPUTS[1:]]

    def _onnx(self, name):
        module, others = self._network(DTYPES.get(name, torch.float32))
        model = runners.onnx_bytes(module, [EXAMPLE_ROWS, *others],
                                   network.INPUTS, ('rows',))
        arrays = [other.float().numpy() for other in others]
        if name != 'int8':
            return runners.onnx_forms(model, arrays, network.INPUTS)
        by_channel, by_tensor = (
            runners.onnx_forms(_int8(model, per_channel), arrays,
                               network.INPUTS, levels=('all', 'basic'))
            for per_channel in (True, False))
        return by_channel + [(f'{form}, by tensor', make)
                             for form, make in by_tensor]

    def target_attention(self, history):
        """{label: forms} of one layer of softmax attention to the raw history,
        item rows."""
        module = network.TargetAttention(self._network(torch.float32)[0])
        past = [torch.from_numpy(np.asarray(history, np.int64))]
        names = ('rows', 'history')
        model = runners.onnx_bytes(module, [EXAMPLE_ROWS, *past], names, names)
        chunks = (None, SOFTMAX_CHUNK)
        return {
            'PyTorch': runners.torch_forms(module, past, chunks),
            'ONNX Runtime': runners.onnx_forms(
                model, [past[0].numpy()], names, chunks, ('all', 'basic'))}

    def softmax_network(self, history):
        """run(rows): the whole network with softmax attention for QLA, in ONNX
        Runtime: every event attends to those before it, in chunks that see
        themselves whole, and each candidate to all events, in every layer but
        that the last one computes of events only keys and values."""
        module = self._network(torch.float32)[0]
        layers = [_SoftmaxSessions(network.SoftmaxLayer(module, index))
                  for index in range(self.hyper.num_layers)]
        tokens = module.tokens.numpy()

        def run(rows):
            events, x = tokens[history], tokens[rows]
            for index, layer in enumerate(layers):
                keys, values = layer.keys(events)
                x = layer.attend(x, keys, values, causal=False)
                if index + 1 < len(layers):
                    events = layer.attend(events, keys, values, causal=True)
            with torch.inference_mode():
                return module.head(torch.from_numpy(x)).numpy()
        return run


def _int8(model, per_channel):
    with tempfile.TemporaryDirectory() as folder:
        return runners.int8_model(model, pathlib.Path(folder), per_channel)


class _SoftmaxSessions:
    """A network.SoftmaxLayer in ONNX Runtime, in chunks of SOFTMAX_CHUNK."""

    def __init__(self, layer):
        x = torch.zeros(8, layer.network.hyper.d_model)
        pair = ('keys', 'values')
        self._keys = runners.onnx_session(runners.onnx_bytes(
            network.Keys(layer), [x], ['x'], ('x', *pair), pair))
        names = ('x', *pair)
        self._layer = runners.onnx_session(runners.onnx_bytes(
            layer, [x, x, x], names, names))

    def keys(self, x):
        return self._keys({'x': x})

    def attend(self, x, keys, values, causal):
        parts = []
        for first in range(0, len(x), SOFTMAX_CHUNK):
            end = first + SOFTMAX_CHUNK
            seen = end if causal else len(keys)
            parts += self._layer({'x': x[first:end], 'keys': keys[:seen],
                                  'values': values[:seen]})
        return np.concatenate(parts)
