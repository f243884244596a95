"""The message classes of proto/qlarank/model/v1/.

Made from model_spec.binpb, which is those files' descriptor set, so that nothing
has to be generated where the trainer runs, and any protobuf from 4.21 on reads
it. When a .proto changes, write the descriptor set anew, in the repository's
root (tests/trainer/test_spec_schema.py tells when it was forgotten):

    protoc --proto_path=proto --descriptor_set_out=trainer/model_spec.binpb \
        qlarank/model/v1/golden_requests.proto \
        qlarank/model/v1/model_spec.proto
"""

import pathlib

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory

FILE = pathlib.Path(__file__).with_name('model_spec.binpb')
_PACKAGE = 'qlarank.model.v1.'


class _Enum:
    """Names and numbers of an enum, as a generated class has them."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def Value(self, name):
        if name not in self._descriptor.values_by_name:
            raise ValueError(f'{self._descriptor.name} has no value {name}')
        return self._descriptor.values_by_name[name].number

    def Name(self, number):
        if number not in self._descriptor.values_by_number:
            raise ValueError(f'{self._descriptor.name} has no value {number}')
        return self._descriptor.values_by_number[number].name


# A pool of its own: generated classes of the same file may be loaded, too.
_pool = descriptor_pool.DescriptorPool()
_set = descriptor_pb2.FileDescriptorSet.FromString(FILE.read_bytes())
for _file in _set.file:
    _pool.Add(_file)


def _message_class(descriptor):
    if hasattr(message_factory, 'GetMessageClass'):  # From 4.22 on.
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_pool).GetPrototype(descriptor)


# All of them at once: protobuf 4.22 and 4.23 crash at a message in a message
# whose class nobody has asked for.
_classes = {name: _message_class(_pool.FindMessageTypeByName(_PACKAGE + name))
            for _file in _set.file for name in [
                message.name for message in _file.message_type]}
ModelSpec = _classes['ModelSpec']
GoldenRequests = _classes['GoldenRequests']
Phi2 = _Enum(_pool.FindEnumTypeByName(_PACKAGE + 'Phi2'))
TargetAware = _Enum(_pool.FindEnumTypeByName(_PACKAGE + 'TargetAware'))
