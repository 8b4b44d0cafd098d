package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// tableTimeout is how long CreateTable waits for a new table.
const tableTimeout = 5 * time.Minute

// CreateTable creates the table, which is billed on demand, enables Time to Live, and waits
// until the table can be used. If there is such a table already, CreateTable only enables Time
// to Live; it fails if the key of that table is not the one of the options.
//
// CreateTable needs the permissions CreateTable, DescribeTable, DescribeTimeToLive and
// UpdateTimeToLive.
func (d *Driver) CreateTable(ctx context.Context) error {
	err := d.begin(ctx)
	if err == nil {
		err = d.createTable(ctx)
	}
	if err != nil {
		return fmt.Errorf("dynamodb: create table %q: %w", d.table, err)
	}
	return nil
}

func (d *Driver) createTable(ctx context.Context) error {
	_, err := d.client.CreateTable(ctx, &awsdynamodb.CreateTableInput{
		TableName:            &d.table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &d.key, AttributeType: types.ScalarAttributeTypeB}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &d.key, KeyType: types.KeyTypeHash}},
	})
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	waiter := awsdynamodb.NewTableExistsWaiter(d.client, func(o *awsdynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 5*time.Second
	})
	out, err := waiter.WaitForOutput(ctx, &awsdynamodb.DescribeTableInput{TableName: &d.table}, tableTimeout)
	if err != nil {
		return fmt.Errorf("wait until the table is ready: %w", err)
	}
	if err := d.checkSchema(out.Table); err != nil {
		return err
	}
	if err := d.enableTTL(ctx); err != nil {
		return fmt.Errorf("enable Time to Live: %w", err)
	}
	return nil
}

func (d *Driver) checkSchema(table *types.TableDescription) error {
	binary := false
	for _, a := range table.AttributeDefinitions {
		if aws.ToString(a.AttributeName) == d.key {
			binary = a.AttributeType == types.ScalarAttributeTypeB
		}
	}
	if len(table.KeySchema) != 1 || aws.ToString(table.KeySchema[0].AttributeName) != d.key || !binary {
		return fmt.Errorf("the table exists with another key: want only the binary partition key %q", d.key)
	}
	return nil
}

func (d *Driver) enableTTL(ctx context.Context) error {
	// Asked first, because another process may have enabled it.
	out, err := d.client.DescribeTimeToLive(ctx, &awsdynamodb.DescribeTimeToLiveInput{TableName: &d.table})
	if err != nil {
		return unlessUnknown(err)
	}
	if ttl := out.TimeToLiveDescription; ttl != nil {
		switch ttl.TimeToLiveStatus {
		case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
			if other := aws.ToString(ttl.AttributeName); other != d.ttl {
				return fmt.Errorf("it is already enabled on attribute %q, want %q", other, d.ttl)
			}
			return nil
		}
	}
	_, err = d.client.UpdateTimeToLive(ctx, &awsdynamodb.UpdateTimeToLiveInput{
		TableName: &d.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: &d.ttl, Enabled: new(true),
		},
	})
	return unlessUnknown(err)
}

// unlessUnknown ignores the error of an emulator without Time to Live. Expired items then
// stay in the table, but are absent to reads.
func unlessUnknown(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "UnknownOperationException" {
		return nil
	}
	return err
}
