package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// tablePatience is how long CreateTable waits for DynamoDB at most.
const tablePatience = 5 * time.Minute

// CreateTable makes the table, which is billed on demand, enables Time to Live on it,
// and waits until it can be used. A table that is there already is left as it is, but
// for Time to Live, and it is an error if its key is not the one that the driver uses.
// Besides its own permission it needs DescribeTable, DescribeTimeToLive and
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
	_, err := d.client.CreateTable(ctx, &sdk.CreateTableInput{
		TableName:            &d.table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &d.key, AttributeType: types.ScalarAttributeTypeB}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &d.key, KeyType: types.KeyTypeHash}},
	})
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	waiter := sdk.NewTableExistsWaiter(d.client, func(o *sdk.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 5*time.Second
	})
	out, err := waiter.WaitForOutput(ctx, &sdk.DescribeTableInput{TableName: &d.table}, tablePatience)
	if err != nil {
		return fmt.Errorf("wait for it: %w", err)
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
		return fmt.Errorf("it exists, and its key is not the binary attribute %q alone", d.key)
	}
	return nil
}

func (d *Driver) enableTTL(ctx context.Context) error {
	// Of many processes that start together, one is the first; the others find it done.
	out, err := d.client.DescribeTimeToLive(ctx, &sdk.DescribeTimeToLiveInput{TableName: &d.table})
	if err != nil {
		return unlessUnknown(err)
	}
	if ttl := out.TimeToLiveDescription; ttl != nil {
		switch ttl.TimeToLiveStatus {
		case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
			if other := aws.ToString(ttl.AttributeName); other != d.ttl {
				return fmt.Errorf("it is enabled on attribute %q, not %q", other, d.ttl)
			}
			return nil
		}
	}
	_, err = d.client.UpdateTimeToLive(ctx, &sdk.UpdateTimeToLiveInput{
		TableName: &d.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: &d.ttl, Enabled: new(true),
		},
	})
	return unlessUnknown(err)
}

// unlessUnknown lets emulators pass that have no Time to Live. What has ended stays
// there, and nobody sees it.
func unlessUnknown(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "UnknownOperationException" {
		return nil
	}
	return err
}
