"""Writes and reads bundles: the folder models/<name>/<version>/.

docs/model.md, section 6. The files are deterministic: the same tensors give
the same bytes.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import typing

import numpy as np
import safetensors
import safetensors.numpy
import torch

from trainer import bundle_checks
from trainer import content
from trainer import fingerprint as fingerprint_lib
from trainer import golden_requests
from trainer import hyper as hyper_lib
from trainer import keys
from trainer import spec as spec_lib
from trainer import tensors as tensors_lib

SPEC_FILE = 'model.textproto'
WEIGHTS_FILE = 'weights.safetensors'
ITEMS_FILE = 'items.safetensors'
# What makes rows of attributes, for items to come.
CONTENT_FILE = 'content.safetensors'
TITLES_FILE = 'titles.tsv'
KEYS_FILE = 'item_keys.tsv'


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle in memory. tensors: {name: array}, item_ids among them.

    item_keys [N]: the texts of items that are known by texts; none otherwise.
    """
    name: str
    version: int
    description: str
    hyper: hyper_lib.Hyper
    tensors: dict
    item_keys: typing.Sequence = ()

    def params(self, dtype=torch.float32):
        """The tensors that trainer/reference.py takes."""
        return {name: torch.from_numpy(array.copy()).to(dtype)
                for name, array in self.tensors.items() if name != 'item_ids'}

    def rows(self, item_ids):
        """Item rows [n] of item ids; 0 for those not in the catalogue."""
        index = {int(item): row + 1
                 for row, item in enumerate(self.tensors['item_ids'])}
        return torch.tensor([index.get(int(item), 0) for item in item_ids],
                            dtype=torch.long)


def write(bundle, folder, titles=None):
    """Writes a bundle and returns its fingerprint.

    titles: a titles.tsv, of which the catalogue's lines are kept, or None.
    The folder appears whole or not at all, and one that is there is left as it
    is: a server may be serving it. Raises ValueError if it is there; naming the
    tensor, if the tensors are not those of the bundle's hyper-parameters; and
    for models that cannot be served.
    """
    if bundle.hyper.unservable():
        raise ValueError(bundle.hyper.unservable())
    tensors = {name: _little_endian(array)
               for name, array in bundle.tensors.items()}
    bundle_checks.check(bundle.hyper, tensors, 'bundle')
    if not bundle.hyper.actions:
        raise ValueError('bundle: the model has no actions')
    specs = tensors_lib.tensor_specs(bundle.hyper, len(tensors['item_ids']))
    of_content = {name: array for name, array in tensors.items()
                  if name.startswith(content.PREFIX)}
    items = {name: array for name, array in tensors.items()
             if name == 'item_ids' or
             name in specs and specs[name].in_items}
    weights = {name: array for name, array in tensors.items()
               if name not in items and name not in of_content}
    message = spec_lib.to_message(bundle.hyper)
    message.name, message.version = bundle.name, bundle.version
    message.description = bundle.description
    message.num_items = len(tensors['item_ids'])
    message.fingerprint = fingerprint_lib.fingerprint(bundle.hyper, tensors)
    with _new_folder(pathlib.Path(folder)) as work:
        message.weights_sha256 = _write_tensors(weights, work / WEIGHTS_FILE)
        message.items_sha256 = _write_tensors(items, work / ITEMS_FILE)
        if of_content:
            message.content_sha256 = _write_tensors(of_content,
                                                    work / CONTENT_FILE)
        try:
            message.golden_sha256 = _write_golden(bundle.hyper, tensors,
                                                  message.fingerprint, work)
        except golden_requests.TooRough as error:
            # It can be served, unchecked.
            print(f'no {golden_requests.FILE}: {error}', file=sys.stderr)
        spec_lib.write(message, work / SPEC_FILE)
        if len(bundle.item_keys):
            _write_keys(tensors['item_ids'], bundle.item_keys,
                        work / KEYS_FILE)
        if titles is not None:
            _write_titles(titles, set(tensors['item_ids'].tolist()),
                          len(bundle.item_keys) > 0, work / TITLES_FILE)
    return message.fingerprint


@contextlib.contextmanager
def _new_folder(folder):
    """A folder to fill, which is named `folder` when that went well."""
    _refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix=f'.{folder.name}.',
                                         dir=folder.parent))
    try:
        yield work
        for path in work.iterdir():
            _sync(path)
        work.chmod(0o777 & ~_umask())
        _sync(work)
        _refuse_existing(folder)
        # Takes the place of an empty folder at most.
        work.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_existing(folder):
    if os.path.lexists(folder) and not (folder.is_dir() and
                                        not any(folder.iterdir())):
        raise ValueError(
            f'{folder}: is there already, and a server may be serving it. '
            'Export another version (--version N), or remove the folder first')


def _sync(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(folder):
    """Loads a bundle. Raises ValueError naming the file and what is wrong."""
    folder = pathlib.Path(folder)
    message = spec_lib.read(folder / SPEC_FILE)
    if message.format_version != 1:
        raise ValueError(f'{folder / SPEC_FILE}: format_version is '
                         f'{message.format_version}; this reader knows 1')
    tensors = _read_tensors(folder / WEIGHTS_FILE, message.weights_sha256)
    items = _read_tensors(folder / ITEMS_FILE, message.items_sha256)
    hyper = spec_lib.to_hyper(message)
    _check_files(hyper, tensors, items, folder)
    tensors.update(items)
    if hyper.has_content:
        tensors.update(_read_tensors(folder / CONTENT_FILE,
                                     message.content_sha256))
    bundle_checks.check(hyper, tensors, folder)
    if len(tensors['item_ids']) != message.num_items:
        raise ValueError(f'{folder}: num_items is {message.num_items}, but '
                         f'item_ids has {len(tensors["item_ids"])}')
    found = fingerprint_lib.fingerprint(hyper, tensors)
    if found != message.fingerprint:
        raise ValueError(f'{folder}: fingerprint is {message.fingerprint}, '
                         f'but the tensors make {found}')
    if message.golden_sha256:
        _read_bytes(folder / golden_requests.FILE, message.golden_sha256)
    return Bundle(message.name, message.version, message.description, hyper,
                  tensors)


def add_golden_requests(folder, replace=False):
    """Gives a bundle that is there its golden requests; returns their bytes.

    model.textproto names the file, so it is written anew; nothing else changes.
    Raises ValueError if the bundle has some, unless they are to be replaced.
    """
    folder = pathlib.Path(folder)
    bundle, message = read(folder), spec_lib.read(folder / SPEC_FILE)
    if message.golden_sha256 and not replace:
        raise ValueError(f'{folder}: has golden requests (--replace makes them '
                         'anew)')
    # Whole files take the place of others; the spec last, which names it.
    with tempfile.TemporaryDirectory(prefix='.golden.', dir=folder) as name:
        work = pathlib.Path(name)
        message.golden_sha256 = _write_golden(bundle.hyper, bundle.tensors,
                                              message.fingerprint, work)
        spec_lib.write(message, work / SPEC_FILE)
        size = (work / golden_requests.FILE).stat().st_size
        for file in (golden_requests.FILE, SPEC_FILE):
            _sync(work / file)
            (work / file).rename(folder / file)
        _sync(folder)
    return size


def _write_keys(item_ids, item_keys, path):
    lines = (f'{item}\t{" ".join(key.split())}\n'
             for item, key in zip(item_ids.tolist(), item_keys))
    path.write_text(''.join(lines), encoding='utf-8', newline='\n')


def _write_titles(source, item_ids, are_texts, path):
    with open(source, encoding='utf-8') as lines, open(
            path, 'w', encoding='utf-8', newline='\n') as out:
        for number, line in enumerate(lines, 1):
            item, tab, title = line.partition('\t')
            if not tab or not (are_texts or item.isdigit()):
                raise ValueError(f'{source}: line {number}: {line.rstrip()!r} '
                                 'is not <item id><tab><title>')
            of = int(keys.ids([item])[0]) if are_texts else int(item)
            if of in item_ids:
                out.write(f'{of}\t{title}')


def _little_endian(array):
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder('<'), copy=False)


def _write_tensors(tensors, path):
    data = safetensors.numpy.save(tensors)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _write_golden(hyper, tensors, fingerprint, folder):
    requests = golden_requests.make(hyper, tensors, fingerprint)
    data = golden_requests.text(requests).encode()
    (folder / golden_requests.FILE).write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _read_bytes(path, sha256):
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f'{path}: SHA-256 is {found}, but {SPEC_FILE} says '
                         f'{sha256 or "nothing"}')
    return data


def _read_tensors(path, sha256):
    data = _read_bytes(path, sha256)
    try:
        return safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f'{path}: {error}') from error


def _check_files(hyper, weights, items, folder):
    specs = tensors_lib.tensor_specs(hyper, 0)
    for name in weights:
        if name in specs and specs[name].in_items or name == 'item_ids':
            raise ValueError(f'{folder}: tensor {name} is in {WEIGHTS_FILE}; '
                             f'it belongs in {ITEMS_FILE}')
    for name in items:
        if name in specs and not specs[name].in_items:
            raise ValueError(f'{folder}: tensor {name} is in {ITEMS_FILE}; '
                             f'it belongs in {WEIGHTS_FILE}')
