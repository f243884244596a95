"""Calls methods of a server by what it says of them, by reflection."""

from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database


class Services:
    """What is served at the other end of a channel."""

    def __init__(self, channel):
        self._channel = channel
        database = (proto_reflection_descriptor_database.
                    ProtoReflectionDescriptorDatabase(channel))
        self._pool = descriptor_pool.DescriptorPool(database)
        self._factory = message_factory.MessageFactory(self._pool)

    def unary(self, service, method):
        """(class of the request, function that calls with one)."""
        descriptor = (self._pool.FindServiceByName(service)
                      .methods_by_name[method])
        reply = self._factory.GetPrototype(descriptor.output_type)
        call = self._channel.unary_unary(
            f'/{service}/{method}',
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString)
        return self._factory.GetPrototype(descriptor.input_type), call
