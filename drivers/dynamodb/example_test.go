package dynamodb_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/dynamodb"
)

func Example() {
	// Programs take their configuration from config.LoadDefaultConfig of the SDK.
	client := awsdynamodb.NewFromConfig(aws.Config{Region: "eu-central-1"})

	store := dynamodb.New(client, dynamodb.Options{Table: "cache"})
	defer store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := store.CreateTable(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	err := store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	values, err := store.GetMany(ctx, []string{"user:1", "user:2"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("%q %v\n", values[0], values[1] == nil)
}
