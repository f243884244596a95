"""Steps recorded once as CUDA graphs and replayed: no launch costs."""

import dataclasses

import torch

# Steps of a shape that run as they are before the next one is recorded:
# libraries and the optimizer make what they need in them.
_WARM_UP = 3


class Recorded:
    """A function of a Batch, recorded for every shape of batch.

    The function must have no shape that depends on values, and no value that
    leaves the GPU. It runs on a stream of its own.
    """

    def __init__(self, step):
        self._step = step
        self._stream = torch.cuda.Stream()
        self._shapes = {}

    def __call__(self, batch):
        shape = self._shapes.setdefault(tuple(batch.rows.shape),
                                        _Shape(self._step, self._stream))
        return shape(batch)


class _Shape:
    def __init__(self, step, stream):
        self._step = step
        self._stream = stream
        self._seen = 0
        self._graph = self._input = self._output = None

    def __call__(self, batch):
        self._seen += 1
        if self._seen <= _WARM_UP:
            return self._aside(batch)
        if self._graph is None:
            self._record(batch)
        for name, value in _tensors(batch):
            getattr(self._input, name).copy_(value)
        self._graph.replay()
        return self._output.clone()

    def _aside(self, batch):
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            output = self._step(batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return output

    def _record(self, batch):
        self._input = dataclasses.replace(
            batch, **{name: value.clone() for name, value in _tensors(batch)})
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._output = self._step(self._input)


def _tensors(batch):
    return [(field.name, getattr(batch, field.name))
            for field in dataclasses.fields(batch)]
