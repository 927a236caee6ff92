"""Python with grpcio. Beside a running service, with the generated code of README.md in try/python:

PYTHONPATH=try/python python3 examples/grpcio.py
"""
import json
import os

import grpc
from google.rpc import error_details_pb2, status_pb2
from vehicle.v1 import vehicle_service_pb2 as pb
from vehicle.v1.vehicle_service_pb2_grpc import VehicleServiceStub

ADDRESS = os.environ.get("ADDRESS", "127.0.0.1:50051")
METADATA = [("authorization", f"Bearer {os.environ.get('TOKEN', '')}")]

# A call that the service refuses is repeated when the service says so (grpc-retry-pushback-ms). Without an answer, the
# client backs off.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "vehicle.v1.VehicleService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.5s",
                "maxBackoff": "10s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}


def violations_of(error):
    """What is wrong with the fields of a request."""
    status = status_pb2.Status()
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    for detail in status.details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            yield from (f"{each.field}: {each.description}" for each in bad_request.field_violations)


with grpc.insecure_channel(ADDRESS, [("grpc.service_config", json.dumps(SERVICE_CONFIG))]) as channel:
    service = VehicleServiceStub(channel)

    # One VIN, within 5 s.
    vehicle = service.Lookup(pb.LookupRequest(vin="1XPWD40X1ED215307"), timeout=5, metadata=METADATA)
    print("Lookup:", vehicle.make, vehicle.model, vehicle.model_year)

    # A malformed VIN: the details of the error say what is wrong with it.
    try:
        service.Lookup(pb.LookupRequest(vin="1XPWD40X1ED2153O7"), timeout=5, metadata=METADATA)
    except grpc.RpcError as error:
        print("Lookup failed:", error.code().name, "; ".join(violations_of(error)))

    # Many VINs. One bad VIN does not affect the others.
    vins = ["1XPWD40X1ED215307", "1XPWD40X1ED2153O7", "1XKWDB0X57J211825"]
    for answer in service.BatchLookup(pb.BatchLookupRequest(vins=vins), timeout=60, metadata=METADATA):
        if answer.WhichOneof("result") == "vehicle":
            print("BatchLookup:", vins[answer.index], answer.vehicle.make, answer.vehicle.model)
        else:
            print("BatchLookup:", vins[answer.index], answer.error.message)

    # The whole cache as a Parquet file, in parts.
    with open("vehicles.parquet", "wb") as file:
        for answer in service.Export(pb.ExportRequest(), timeout=600, metadata=METADATA):
            if answer.WhichOneof("part") == "metadata":
                print("Export:", answer.metadata.row_count, "vehicles")
            else:
                file.write(answer.data)
