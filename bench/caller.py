"""Calls a server's methods with what JSON has, by its own reflection."""

import threading

from google.protobuf import descriptor_pool
from google.protobuf import json_format
from google.protobuf import message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database


class Caller:
    """Calls unary methods of qlarank.v1 with JSON-able messages, from any
    threads."""

    def __init__(self, channel):
        self._channel = channel
        self._pool = descriptor_pool.DescriptorPool(
            proto_reflection_descriptor_database.
            ProtoReflectionDescriptorDatabase(channel))
        self._factory = message_factory.MessageFactory(self._pool)
        self._methods = {}
        # Reflection is one stream.
        self._lock = threading.Lock()

    def __call__(self, service, method, request):
        request_type, call = self._method(service, method)
        return call(json_format.ParseDict(request, request_type()), timeout=30)

    def _method(self, service, method):
        """(type of its request, a function that calls it)."""
        with self._lock:
            if (service, method) not in self._methods:
                self._methods[service, method] = self._find(
                    f'qlarank.v1.{service}', method)
            return self._methods[service, method]

    def _find(self, service, method):
        types = self._pool.FindServiceByName(service).methods_by_name[method]
        return (self._factory.GetPrototype(types.input_type),
                self._channel.unary_unary(
                    f'/{service}/{method}',
                    request_serializer=lambda message:
                        message.SerializeToString(),
                    response_deserializer=self._factory.GetPrototype(
                        types.output_type).FromString))
