"""Message classes of a file with a descriptor set, which protoc wrote."""

import pathlib

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory


class Classes:
    """The messages and enums of a descriptor set."""

    def __init__(self, path):
        # A pool of its own: generated classes of the same file may be loaded,
        # too.
        self._pool = descriptor_pool.DescriptorPool()
        found = descriptor_pb2.FileDescriptorSet.FromString(
            pathlib.Path(path).read_bytes())
        for file in found.file:
            self._pool.Add(file)
        # All of them at once: protobuf 4.22 and 4.23 crash at a message in a
        # message whose class nobody has asked for.
        self._messages = {}
        for file in found.file:
            for message in file.message_type:
                name = f'{file.package}.{message.name}'
                self._messages[name] = _message_class(
                    self._pool, self._pool.FindMessageTypeByName(name))

    def message(self, name):
        """The class of a message, by its full name."""
        return self._messages[name]

    def enum(self, name):
        """The descriptor of an enum, by its full name."""
        return self._pool.FindEnumTypeByName(name)


def _message_class(pool, descriptor):
    if hasattr(message_factory, 'GetMessageClass'):  # From 4.22 on.
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)
