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

from trainer import message_classes

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


_found = message_classes.Classes(FILE)
ModelSpec = _found.message(_PACKAGE + 'ModelSpec')
GoldenRequests = _found.message(_PACKAGE + 'GoldenRequests')
Phi2 = _Enum(_found.enum(_PACKAGE + 'Phi2'))
TargetAware = _Enum(_found.enum(_PACKAGE + 'TargetAware'))
