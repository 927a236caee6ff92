// Go with grpc-go. README.md has the commands that generate the code and run it beside a running service.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	vehiclev1 "vehicle-service/vehicle/v1"
)

// A call that the service refuses is repeated when the service says so (grpc-retry-pushback-ms). Without an answer, the
// client backs off. Before version 1.40, grpc-go does this only with GRPC_GO_RETRY=on.
const serviceConfig = `{
	"methodConfig": [{
		"name": [{"service": "vehicle.v1.VehicleService"}],
		"retryPolicy": {
			"maxAttempts": 5,
			"initialBackoff": "0.5s",
			"maxBackoff": "10s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
		}
	}]
}`

// within returns a context with a deadline and the token.
func within(timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("TOKEN"))
	return context.WithTimeout(ctx, timeout)
}

func main() {
	address := os.Getenv("ADDRESS")
	if address == "" {
		address = "127.0.0.1:50051"
	}
	// Newer versions of grpc-go have NewClient and insecure.NewCredentials for this, and keep these, too.
	connection, err := grpc.Dial(address, grpc.WithInsecure(), grpc.WithDefaultServiceConfig(serviceConfig))
	check(err)
	defer connection.Close()
	service := vehiclev1.NewVehicleServiceClient(connection)

	lookUp(service, "1XPWD40X1ED215307")
	// A malformed VIN: the details of the error say what is wrong with it.
	lookUp(service, "1XPWD40X1ED2153O7")
	// One bad VIN does not affect the others.
	lookUpAll(service, "1XPWD40X1ED215307", "1XPWD40X1ED2153O7", "1XKWDB0X57J211825")
	export(service, "vehicles.parquet")
}

func lookUp(service vehiclev1.VehicleServiceClient, vin string) {
	ctx, cancel := within(5 * time.Second)
	defer cancel()
	vehicle, err := service.Lookup(ctx, &vehiclev1.LookupRequest{Vin: vin})
	if err == nil {
		fmt.Println("Lookup:", vehicle.Make, vehicle.Model, vehicle.ModelYear)
		return
	}
	failed := status.Convert(err)
	fmt.Println("Lookup failed:", failed.Code(), failed.Message())
	for _, detail := range failed.Details() {
		if badRequest, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range badRequest.FieldViolations {
				fmt.Println("  field", violation.Field+":", violation.Description)
			}
		}
	}
}

func lookUpAll(service vehiclev1.VehicleServiceClient, vins ...string) {
	ctx, cancel := within(time.Minute)
	defer cancel()
	answers, err := service.BatchLookup(ctx, &vehiclev1.BatchLookupRequest{Vins: vins})
	check(err)
	for {
		answer, err := answers.Recv()
		if err == io.EOF {
			return
		}
		check(err)
		if vehicle := answer.GetVehicle(); vehicle != nil {
			fmt.Println("BatchLookup:", vins[answer.Index], vehicle.Make, vehicle.Model)
		} else {
			fmt.Println("BatchLookup:", vins[answer.Index], answer.GetError().GetMessage())
		}
	}
}

// export writes the whole cache into a Parquet file, in parts.
func export(service vehiclev1.VehicleServiceClient, path string) {
	ctx, cancel := within(10 * time.Minute)
	defer cancel()
	answers, err := service.Export(ctx, &vehiclev1.ExportRequest{})
	check(err)
	file, err := os.Create(path)
	check(err)
	for {
		answer, err := answers.Recv()
		if err == io.EOF {
			check(file.Close())
			return
		}
		check(err)
		if information := answer.GetMetadata(); information != nil {
			fmt.Println("Export:", information.RowCount, "vehicles")
		}
		_, err = file.Write(answer.GetData())
		check(err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
