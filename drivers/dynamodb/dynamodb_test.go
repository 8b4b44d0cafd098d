package dynamodb

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// The servers of this package's tests: starting them takes longer than most tests.
var (
	dynalite = servers.Shared[*servers.DynaliteServer]{Require: servers.RequireDynalite, Start: servers.StartDynalite}
	local    = servers.Shared[*servers.DynamoDBLocalServer]{Require: servers.RequireDynamoDBLocal, Start: servers.StartDynamoDBLocal}
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dynalite.Around(local.Around(m))) }

// dial returns a client whose connections end with the test.
func dial(t testing.TB, url string, configure ...func(*awsdynamodb.Options)) *awsdynamodb.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: Concurrency}
	t.Cleanup(transport.CloseIdleConnections)
	return awsdynamodb.New(awsdynamodb.Options{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:   &http.Client{Transport: transport},
	}, configure...)
}

// openTable returns a driver whose table is there.
func openTable(t testing.TB, url string, options Options, configure ...func(*awsdynamodb.Options)) *Driver {
	t.Helper()
	d := New(dial(t, url, configure...), options)
	t.Cleanup(func() { d.Close() })
	if err := d.CreateTable(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d
}

const can = drivertest.Adds | drivertest.Swaps | drivertest.Leases

// eachServer runs test against each implementation of DynamoDB.
func eachServer(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("Dynalite", func(t *testing.T) { test(t, dynalite.Of(t).URL()) })
	t.Run("DynamoDBLocal", func(t *testing.T) { test(t, local.Of(t).URL()) })
}

func TestConformance(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		drivertest.L2(t, func(t *testing.T) drivers.L2 {
			return openTable(t, url, Options{})
		}, drivertest.Limits{MaxValue: MaxValue, LargestBatch: 300}, can)
	})
}

func TestFaults(t *testing.T) {
	server := servers.Dynalite(t)
	create := func() {
		openTable(t, server.URL(), Options{})
	}
	create()
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		return New(dial(t, server.URL()), Options{})
	}, drivertest.Faults{
		Stop:    server.Stop,
		Restart: func() { server.Restart(t); create() },
		Pause:   func() { server.Pause(t) },
		Resume:  func() { server.Resume(t) },
	})
}

func TestOptionsAreChecked(t *testing.T) {
	client := dial(t, "http://127.0.0.1:1")
	for name, d := range map[string]*Driver{
		"no client":          New(nil, Options{}),
		"table":              New(client, Options{Table: "a b"}),
		"short table":        New(client, Options{Table: "ab"}),
		"key of a lease":     New(client, Options{KeyAttribute: "lease_awaited"}),
		"key of the value":   New(client, Options{KeyAttribute: "value"}),
		"ttl of the key":     New(client, Options{TTLAttribute: "key"}),
		"attribute too long": New(client, Options{KeyAttribute: strings.Repeat("k", 256)}),
	} {
		if d.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("%s: use of it: %v", name, err)
		}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsNameTheTableAndTheOperation(t *testing.T) {
	d := New(dial(t, "http://127.0.0.1:1", func(o *awsdynamodb.Options) { o.RetryMaxAttempts = 1 }), Options{Table: "prices"})
	ctx := t.Context()
	_, get := d.GetMany(ctx, []string{"a", "b"})
	_, add := d.AddMany(ctx, []drivers.Item{{Key: "a"}})
	for want, err := range map[string]error{
		`dynamodb: get 2 keys in table "prices": `:   get,
		`dynamodb: add 1 key in table "prices": `:    add,
		`dynamodb: set 1 key in table "prices": `:    d.SetMany(ctx, []drivers.Item{{Key: "a"}}),
		`dynamodb: delete 1 key in table "prices": `: d.DeleteMany(ctx, []string{"a"}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("error %v, want %q and that the connection was refused", err, want)
		}
	}
}

func TestAnItemThatIsTooLargeIsRefusedByName(t *testing.T) {
	d := New(dial(t, "http://127.0.0.1:1"), Options{})
	err := d.SetMany(t.Context(), []drivers.Item{{Key: "small"}, {Key: "prices:7", Value: make([]byte, MaxValue+1)}})
	if !errors.Is(err, drivers.ErrRefused) || !strings.Contains(err.Error(), `"prices:7"`) || !strings.Contains(err.Error(), "406529") {
		t.Errorf("error %v", err)
	}
}

// The largest item of every kind fits DynamoDB's limit, and can be lent.
func TestLargestItem(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		d := openTable(t, url, Options{
			Table: "largest", KeyAttribute: strings.Repeat("k", 255), TTLAttribute: strings.Repeat("t", 255),
		})
		ctx := t.Context()
		for _, length := range []int{maxPlainKey, maxPlainKey + 1} {
			key, token := strings.Repeat("k", length), strings.Repeat("t", maxToken)
			item := drivers.Item{Key: key, Value: make([]byte, MaxValue), TTL: 1 << 40}
			if err := d.SetMany(ctx, []drivers.Item{item}); err != nil {
				t.Fatal(err)
			}
			want := drivers.LeaseRequest{Token: token, TTL: 1 << 40, Await: true}
			for _, taken := range []bool{true, false} { // the second notes that it waits
				if lent, err := d.LeaseMany(ctx, []string{key}, want); err != nil || lent[0].Taken != taken || len(lent[0].Value) != MaxValue {
					t.Fatal(lent[0].Taken, lent[0].Holder, len(lent[0].Value), err)
				}
			}
			if got, err := d.GetMany(ctx, []string{key}); err != nil || len(got[0]) != MaxValue {
				t.Fatal(len(got[0]), err)
			}
			if filled, err := d.FillMany(ctx, []drivers.Item{item}, token); err != nil || !filled[0].Stored || !filled[0].Awaited {
				t.Fatal(filled, err)
			}
		}
	})
}

func TestAMissingTableIsNamed(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		d := New(dial(t, url), Options{Table: "nowhere"})
		_, get := d.GetMany(t.Context(), []string{"a"})
		_, lease := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: 1 << 40})
		for _, err := range []error{get, lease, d.SetMany(t.Context(), []drivers.Item{{Key: "a"}})} {
			var missing *types.ResourceNotFoundException
			if !errors.As(err, &missing) || !strings.Contains(err.Error(), `"nowhere": there is no such table`) {
				t.Errorf("error %v", err)
			}
		}
	})
}

func TestCreateTable(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		ctx := t.Context()
		client := dial(t, url)
		d := openTable(t, url, Options{Table: "created"})
		if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		if err := d.CreateTable(ctx); err != nil {
			t.Errorf("a second time: %v", err)
		}
		if got, err := d.GetMany(ctx, []string{"a"}); err != nil || string(got[0]) != "x" {
			t.Errorf("after a second time: %q, %v", got, err)
		}
		if err := New(client, Options{Table: "created", KeyAttribute: "id"}).CreateTable(ctx); err == nil || !strings.Contains(err.Error(), `"id"`) {
			t.Errorf("a table with another key: %v", err)
		}
		textKey := types.AttributeDefinition{AttributeName: aws.String("key"), AttributeType: types.ScalarAttributeTypeS}
		if _, err := client.CreateTable(ctx, &awsdynamodb.CreateTableInput{
			TableName: aws.String("text"), BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{textKey},
			KeySchema:            []types.KeySchemaElement{{AttributeName: textKey.AttributeName, KeyType: types.KeyTypeHash}},
		}); err != nil {
			t.Fatal(err)
		}
		wrong := New(client, Options{Table: "text"})
		if err := wrong.CreateTable(ctx); err == nil || !strings.Contains(err.Error(), "binary") {
			t.Errorf("a table whose key is text: %v", err)
		}
		if err := wrong.SetMany(ctx, []drivers.Item{{Key: "a"}}); err == nil || !strings.Contains(err.Error(), `"text"`) {
			t.Errorf("use of it: %v", err)
		}
	})
}
