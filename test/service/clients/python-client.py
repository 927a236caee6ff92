"""Makes one call with grpcio and prints what became of it, as JSON.

Takes one argument, a JSON object: address, caFile (null for clear text), service, method, streams (whether the answer is a stream), request,
timeoutMs (null for none) and schema (the path of a FileDescriptorSet). A line on standard input cancels the call.
Runs with Debian's packages: grpcio 1.51, protobuf 3.21.
"""

import base64
import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def main():
    wish = json.loads(sys.argv[1])
    pool = load_schema(wish["schema"])
    method = pool.FindServiceByName(wish["service"]).methods_by_name[wish["method"]]
    factory = message_factory.MessageFactory(pool)
    request = json_format.ParseDict(wish["request"], factory.GetPrototype(method.input_type)(), descriptor_pool=pool)
    timeout = None if wish["timeoutMs"] is None else wish["timeoutMs"] / 1000

    with open_channel(wish["address"], wish["caFile"]) as channel:
        open_call = channel.unary_stream if wish["streams"] else channel.unary_unary
        stub = open_call(
            f"/{wish['service']}/{wish['method']}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=factory.GetPrototype(method.output_type).FromString,
        )
        call = stub(request, timeout=timeout) if wish["streams"] else stub.future(request, timeout=timeout)
        threading.Thread(target=lambda: sys.stdin.readline() and call.cancel(), daemon=True).start()
        try:
            answers = list(call) if wish["streams"] else [call.result()]
        except (grpc.RpcError, grpc.FutureCancelledError):
            return report_error(call)
    return {"messages": [json_format.MessageToDict(answer, descriptor_pool=pool) for answer in answers]}


def open_channel(address, ca_file):
    if ca_file is None:
        return grpc.insecure_channel(address, compression=grpc.Compression.Gzip)
    with open(ca_file, "rb") as file:
        security = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(address, security, compression=grpc.Compression.Gzip)


def load_schema(path):
    """The types of the contract, without generated code."""
    pool = descriptor_pool.DescriptorPool()
    with open(path, "rb") as file:
        for described in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(described)
    return pool


def report_error(call):
    """The details are the bytes of a google.rpc.Status, in base64."""
    trailers = {key: value for key, value in call.trailing_metadata() or ()}
    details = base64.b64encode(trailers.get("grpc-status-details-bin", b"")).decode()
    return {"code": call.code().value[0], "message": call.details(), "details": details}


print(json.dumps(main()))
