"""Runs a torch module in PyTorch and in ONNX Runtime, in every form that may be
its fastest.

A runner is a callable: run(rows) -> scores [C] as a float32 array. Rows may be
passed in chunks, as the engine passes tiles. forms.py says what a form is.
"""

import io
import os
import warnings

import numpy as np
import onnxruntime
import torch

from bench.peers.forms import AS_EXPORTED, Unsupported

CHUNKS = (None, 512, 128)
# Of a torch module.
EAGER, TRACED, FROZEN, COMPILED = 'eager', 'traced', 'frozen', 'compiled'
_LEVELS = onnxruntime.GraphOptimizationLevel
LEVELS = {'all': _LEVELS.ORT_ENABLE_ALL,
          'extended': _LEVELS.ORT_ENABLE_EXTENDED,
          'basic': _LEVELS.ORT_ENABLE_BASIC,
          'none': _LEVELS.ORT_DISABLE_ALL}
CORES = os.cpu_count()


def _chunks(rows, chunk):
    return [rows] if chunk is None else [
        rows[first:first + chunk] for first in range(0, len(rows), chunk)]


def form_name(chunk, *what):
    """As '512 at a time, traced'."""
    return ', '.join(('in one call' if chunk is None else
                      f'{chunk} at a time', *what))


def torch_forms(module, others, chunks=CHUNKS):
    """Forms of a module; others: the tensors behind rows."""
    def form(chunk, how, threads=1):
        return lambda: torch_runner(module, others, chunk, how, threads)
    return [(AS_EXPORTED, form(None, EAGER)),
            *((form_name(chunk, how), form(chunk, how)) for chunk in chunks
              for how in (EAGER, TRACED, FROZEN, COMPILED)
              if (chunk, how) != (None, EAGER)),
            (form_name(None, FROZEN, f'{CORES} threads'),
             form(None, FROZEN, CORES))]


def onnx_forms(model, others, names, chunks=CHUNKS, levels=tuple(LEVELS)):
    """Forms of an exported model; others: numpy arrays behind rows, in the
    order of names."""
    def form(chunk, level, threads=1):
        return lambda: onnx_runner(model, others, names, chunk, level, threads)
    return [(AS_EXPORTED, form(None, 'all')),
            *((form_name(chunk, f'optimized: {level}'), form(chunk, level))
              for chunk in chunks for level in levels
              if (chunk, level) != (None, 'all')),
            (form_name(None, f'{CORES} threads'), form(None, 'all', CORES))]


def _prepared(module, others, chunk, how):
    """The module in the form that `how` names."""
    if how == EAGER:
        return module
    if how == COMPILED:
        if not hasattr(torch, 'compile'):
            raise Unsupported(f'PyTorch {torch.__version__} cannot compile')
        return torch.compile(module)
    example = torch.zeros(chunk or 128, dtype=torch.long)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            traced = torch.jit.trace(module.eval(), (example, *others),
                                     check_trace=False)
            if how == TRACED:
                return traced
            return torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    except RuntimeError as error:
        raise Unsupported(str(error)) from error


def torch_runner(module, others, chunk, how, threads=1):
    """others: the tensors behind rows."""
    dtype = others[0].dtype
    module = _prepared(module, others, chunk, how)

    def run(rows):
        torch.set_num_threads(threads)
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


def onnx_session(model, level='all', threads=1):
    """run(inputs by name) -> outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = LEVELS[level]
    # Threads that wait by computing would count as work.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its own classes share no other base
        raise Unsupported(str(error).strip().splitlines()[0]) from error
    return lambda inputs: session.run(None, inputs)


def onnx_runner(model, others, names, chunk, level='all', threads=1):
    """others: numpy arrays behind rows, in the order of names."""
    session = onnx_session(model, level, threads)
    fixed = dict(zip(names[1:], others))

    def run(rows):
        return np.concatenate([session({'rows': part, **fixed})[0]
                               for part in _chunks(rows, chunk)])
    return run


def int8_model(model, folder, per_channel):
    """Dynamically quantized: int8 weights by channel or by tensor, activations
    by tensor.

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
        source, target, per_channel=per_channel, nodes_to_quantize=nodes,
        weight_type=quantization.QuantType.QInt8)
    return target.read_bytes()
