"""Runs one of gRPC's interoperability test cases with grpcio: `interop-client.py <host:port> <schema> <case>`.

The schema is the path of a FileDescriptorSet. Ends with 0 when what the client sees is what the case asks for; what else
it sees is an exception. Runs with Debian's packages: grpcio 1.51, protobuf 3.21.
"""

import queue
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

REQUEST_SIZES = [27182, 8, 1828, 45904]
RESPONSE_SIZES = [31415, 9, 2653, 58979]
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


def empty_unary():
    assert call("EmptyCall")(empty()).ByteSize() == 0


def large_unary():
    assert size(call("UnaryCall")(large())) == 314159


def client_compressed_unary():
    unary = call("UnaryCall")
    assert status_of(lambda: unary(large(expect_compressed=True)))[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert size(unary(large(expect_compressed=True), compression=grpc.Compression.Gzip)) == 314159
    assert size(unary(large(expect_compressed=False))) == 314159


def server_compressed_unary():
    """Who runs this weighs what comes back."""
    assert size(call("UnaryCall")(large())) == 314159


def server_plain_unary():
    """As server_compressed_unary, with a client that takes no compression."""
    assert size(call("UnaryCall", identity_only=True)(large())) == 314159


def client_streaming():
    requests = iter([request(payload=bytes(each)) for each in REQUEST_SIZES])
    assert call("StreamingInputCall")(requests).payload_bytes == 74922


def server_streaming():
    answers = call("StreamingOutputCall")(request(response_sizes=RESPONSE_SIZES))
    assert [size(each) for each in answers] == RESPONSE_SIZES


def ping_pong():
    requests = Requests()
    answers = call("FullDuplexCall")(requests)
    for sent, wanted in zip(REQUEST_SIZES, RESPONSE_SIZES):
        requests.send(request(payload=bytes(sent), response_sizes=[wanted]))
        assert size(next(answers)) == wanted
    requests.end()
    assert list(answers) == []


def empty_stream():
    assert list(call("FullDuplexCall")(iter([]))) == []


def custom_metadata():
    metadata = [("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")]
    _, done = call("UnaryCall").with_call(request(), metadata=metadata)
    assert dict(done.initial_metadata())["x-grpc-test-echo-initial"] == "test_initial_metadata_value"
    assert dict(done.trailing_metadata())["x-grpc-test-echo-trailing-bin"] == b"\xab\xab\xab"


def status_code_and_message():
    failing = request(status={"code": 2, "message": "test status message"})
    expected = (grpc.StatusCode.UNKNOWN, "test status message")
    assert status_of(lambda: call("UnaryCall")(failing)) == expected
    assert status_of(lambda: list(call("FullDuplexCall")(iter([failing])))) == expected


def special_status_message():
    failing = request(status={"code": 2, "message": SPECIAL})
    assert status_of(lambda: call("UnaryCall")(failing)) == (grpc.StatusCode.UNKNOWN, SPECIAL)


def unimplemented_method():
    assert status_of(lambda: call("UnimplementedCall")(empty()))[0] == grpc.StatusCode.UNIMPLEMENTED


def unimplemented_service():
    unary = call("UnimplementedCall", service="interop.v1.UnimplementedService")
    assert status_of(lambda: unary(empty()))[0] == grpc.StatusCode.UNIMPLEMENTED


def cancel_after_begin():
    running = call("StreamingInputCall").future(Requests())
    # The server answers with its headers only when it answers at all: it has seen the call when another one is answered.
    call("EmptyCall")(empty())
    running.cancel()
    assert running.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response():
    requests = Requests()
    answers = call("FullDuplexCall")(requests)
    requests.send(request(payload=bytes(27182), response_sizes=[31415]))
    assert size(next(answers)) == 31415
    answers.cancel()
    assert status_of(lambda: list(answers))[0] == grpc.StatusCode.CANCELLED


def timeout_on_sleeping_server():
    requests = Requests()
    requests.send(request(payload=bytes(27182)))
    answers = call("FullDuplexCall")(requests, timeout=0.05)
    assert status_of(lambda: list(answers))[0] == grpc.StatusCode.DEADLINE_EXCEEDED


class Requests:
    """A stream of requests that goes on when told to."""

    def __init__(self):
        self._queue = queue.Queue()

    def send(self, message):
        self._queue.put(message)

    def end(self):
        self._queue.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        message = self._queue.get()
        if message is None:
            raise StopIteration
        return message


def call(name, service="interop.v1.InteropService", identity_only=False):
    """The method of this name, ready to be called."""
    method = pool.FindServiceByName(service).methods_by_name[name]
    described = descriptor_pb2.MethodDescriptorProto()
    method.CopyToProto(described)
    kind = f"{'stream' if described.client_streaming else 'unary'}_{'stream' if described.server_streaming else 'unary'}"
    return getattr(channel_of(identity_only), kind)(
        f"/{service}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=factory.GetPrototype(method.output_type).FromString,
    )


def channel_of(identity_only):
    if identity_only not in channels:
        # A bit for each algorithm; the first is none at all.
        options = [("grpc.compression_enabled_algorithms_bitset", 1)] if identity_only else []
        channels[identity_only] = grpc.insecure_channel(address, options=options)
    return channels[identity_only]


def request(**fields):
    return factory.GetPrototype(pool.FindMessageTypeByName("interop.v1.Request"))(**fields)


def large(**fields):
    return request(payload=bytes(271828), response_sizes=[314159], **fields)


def empty():
    return factory.GetPrototype(pool.FindMessageTypeByName("google.protobuf.Empty"))()


def size(response):
    return len(response.payload)


def status_of(act):
    """The code and message that a call fails with."""
    try:
        act()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")


_, address, schema, case = sys.argv
channels = {}
pool = descriptor_pool.DescriptorPool()
with open(schema, "rb") as file:
    for each in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(each)
factory = message_factory.MessageFactory(pool)
globals()[case]()
for channel in channels.values():
    channel.close()
