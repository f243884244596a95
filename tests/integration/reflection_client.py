"""A gRPC client that knows nothing of any service but reflection.

    reflection_client.py HOST:PORT list
    reflection_client.py HOST:PORT describe SERVICE
    reflection_client.py HOST:PORT call SERVICE/METHOD JSON

As grpcurl does: descriptors come from the server, messages go as JSON.
"""

import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database


def main(address, command, *arguments):
    with grpc.insecure_channel(address) as channel:
        database = (proto_reflection_descriptor_database.
                    ProtoReflectionDescriptorDatabase(channel))
        if command == 'list':
            print('\n'.join(sorted(database.get_services())))
            return
        if command == 'describe':
            service = descriptor_pool.DescriptorPool(
                database).FindServiceByName(arguments[0])
            print('\n'.join(method.name for method in service.methods))
            return
        service, method_name = arguments[0].split('/')
        pool = descriptor_pool.DescriptorPool(database)
        method = pool.FindServiceByName(service).methods_by_name[method_name]
        factory = message_factory.MessageFactory(pool)
        request = json_format.Parse(
            arguments[1], factory.GetPrototype(method.input_type)(),
            descriptor_pool=pool)
        call = channel.unary_unary(
            f'/{service}/{method_name}',
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=factory.GetPrototype(
                method.output_type).FromString)
        print(json_format.MessageToJson(call(request, timeout=10),
                                        descriptor_pool=pool))


if __name__ == '__main__':
    main(*sys.argv[1:])
