"""Runs a torch module in PyTorch and in ONNX Runtime, on one thread.

A runner is a callable: run(rows) -> scores [C] as a float32 array. Rows may be
passed in chunks, as the engine passes tiles: `best_chunk` finds the size a
peer is fastest with, so that none loses for the cache's sake.
"""

import io
import statistics
import time
import warnings

import numpy as np
import onnxruntime
import torch

CHUNKS = (None, 512, 128)


class Unsupported(Exception):
    """The peer cannot do it; str() is what it says."""


def _chunks(rows, chunk):
    return [rows] if chunk is None else [
        rows[first:first + chunk] for first in range(0, len(rows), chunk)]


def torch_runner(module, others, chunk, script):
    """others: the tensors behind rows. script: traced, frozen, optimised."""
    dtype = others[0].dtype
    if script:
        example = torch.zeros(chunk or 128, dtype=torch.long)
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter('ignore')
                traced = torch.jit.trace(module.eval(), (example, *others),
                                         check_trace=False)
                module = torch.jit.optimize_for_inference(
                    torch.jit.freeze(traced))
        except RuntimeError as error:
            raise Unsupported(str(error)) from error

    def run(rows):
        with torch.inference_mode():
            parts = [module(part, *others)
                     for part in _chunks(torch.from_numpy(rows), chunk)]
            return torch.cat(parts).float().numpy()
    if dtype == torch.bfloat16:
        run(np.zeros(128, np.int64))  # refuses here, if at all
    return run


def onnx_bytes(module, inputs, names, dynamic, outputs=('scores',)):
    """The module exported; the first dimension of `dynamic` is free."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module.eval(), tuple(inputs), file, input_names=list(names),
            output_names=list(outputs), opset_version=17,
            dynamic_axes={name: {0: f'any_{name}'} for name in dynamic})
    return file.getvalue()


def onnx_session(model):
    """run(inputs by name) -> outputs, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its own classes share no other base
        raise Unsupported(str(error).strip().splitlines()[0]) from error
    return lambda inputs: session.run(None, inputs)


def onnx_runner(model, others, names, chunk):
    """others: numpy arrays behind rows, in the order of names."""
    session = onnx_session(model)
    fixed = dict(zip(names[1:], others))

    def run(rows):
        return np.concatenate([session({'rows': part, **fixed})[0]
                               for part in _chunks(rows, chunk)])
    return run


def int8_model(model, folder):
    """Dynamically quantized: int8 weights by channel, activations by tensor.

    Products with weights only: those with a user's state have none.
    """
    import onnx
    from onnxruntime import quantization
    graph = onnx.load_model_from_string(model).graph
    weights = {tensor.name for tensor in graph.initializer
               if len(tensor.dims) == 2}
    nodes = [node.name for node in graph.node
             if node.op_type == 'MatMul' and node.input[1] in weights]
    source, target = folder / 'float.onnx', folder / 'int8.onnx'
    source.write_bytes(model)
    quantization.quantize_dynamic(
        source, target, per_channel=True, nodes_to_quantize=nodes,
        weight_type=quantization.QuantType.QInt8)
    return target.read_bytes()


def median_seconds(run, min_seconds, min_repeats=3):
    """Median processor seconds of run(), after one that is not counted.

    Processor time, as google-benchmark takes for the engine: all run on one
    thread, and what else the machine does counts little.
    """
    run()
    seconds = []
    while len(seconds) < min_repeats or sum(seconds) < min_seconds:
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def fastest(runners, rows, min_seconds=.3):
    """Tries [(label, make)] out: the fastest runner, None if none could be
    made; {label: seconds} of those that could; {label: why} of the others."""
    best, times, refused = None, {}, {}
    for label, make in runners:
        try:
            run = make()
            times[label] = median_seconds(lambda: run(rows), min_seconds)
        except (Unsupported, RuntimeError, NotImplementedError) as error:
            refused[label] = str(error).strip().splitlines()[0][:160]
            continue
        if times[label] == min(times.values()):
            best = run
    return best, times, refused
