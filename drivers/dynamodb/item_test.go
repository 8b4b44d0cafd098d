package dynamodb

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachegen/cachegen/drivers"
)

func TestKeysAreStoredApart(t *testing.T) {
	long := strings.Repeat("k", maxPlainKey+1)
	seen := make(map[string]string)
	for _, key := range []string{
		"", "\x00", "\x01", "a", "\x00a", long, long + "k", long[1:], string(stored(long)), string(stored(long)[1:]),
	} {
		s := stored(key)
		if len(s) == 0 || len(s) > 2048 {
			t.Errorf("key %s is stored in %d bytes", brief(key), len(s))
		}
		if other, ok := seen[string(s)]; ok {
			t.Errorf("keys %s and %s are stored as the same", brief(key), brief(other))
		}
		seen[string(s)] = key
	}
}

// seconds of Time to Live end after the milliseconds that readers go by, and both
// after the TTL.
func TestDeadlinesAreRoundedUp(t *testing.T) {
	d := New(nil, Options{})
	for _, ttl := range []time.Duration{1, time.Millisecond, 1500 * time.Millisecond, time.Hour, math.MaxInt64} {
		before := time.Now()
		item, err := d.item(drivers.Item{Key: "a", TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		expires, ttlSeconds := time.UnixMilli(wholeNumber(t, item[expiresAttribute])), time.Unix(wholeNumber(t, item["ttl"]), 0)
		if end := before.Add(ttl).Round(0); expires.Before(end) || ttlSeconds.Before(expires) || ttlSeconds.Sub(end) > 3*time.Second {
			t.Errorf("ttl %s until %s: expires %s, ttl %s", ttl, end, expires, ttlSeconds)
		}
	}
}

func wholeNumber(t *testing.T, a types.AttributeValue) int64 {
	t.Helper()
	n, ok := a.(*types.AttributeValueMemberN)
	if !ok {
		t.Fatalf("a %T", a)
	}
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A lease gives an end to an item that is nothing else, and to no other.
func TestLeasesDoNotEndWhatIsKeptForEver(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		d := openTable(t, url, Options{Table: "leases", TTLAttribute: "gone_at"})
		ctx := t.Context()
		if err := d.SetMany(ctx, []drivers.Item{{Key: "ever", Value: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		for _, absent := range []bool{true, false} {
			lent, err := d.LeaseMany(ctx, []string{"ever", fmt.Sprint("bare", absent)}, drivers.LeaseRequest{Token: "t", TTL: time.Minute, IfAbsent: absent})
			if err != nil || lent[0].Taken == absent || !lent[1].Taken {
				t.Fatal(lent, err)
			}
		}
		if renewed, err := d.RenewMany(ctx, []string{"ever", "baretrue"}, "t", time.Minute); err != nil || !renewed[0] || !renewed[1] {
			t.Fatal(renewed, err)
		}
		bare := time.Now().Add(time.Minute + bareTime)
		for key, want := range map[string]time.Time{"ever": forever, "baretrue": bare, "barefalse": bare} {
			out, err := d.client.GetItem(ctx, &awsdynamodb.GetItemInput{TableName: &d.table, Key: d.keyOf(key), ConsistentRead: aws.Bool(true)})
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Unix(wholeNumber(t, out.Item["gone_at"]), 0); got.Sub(want).Abs() > 30*time.Second {
				t.Errorf("%s: ends at %s, want about %s", key, got, want)
			}
		}
	})
}

func TestTheSameKeyTwiceInABatch(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		d := openTable(t, url, Options{})
		ctx := t.Context()
		if err := d.SetMany(ctx, []drivers.Item{{Key: "twice", Value: []byte("1")}, {Key: "twice", Value: []byte("2")}}); err != nil {
			t.Fatal(err)
		}
		values, err := d.GetMany(ctx, []string{"twice", "once", "twice"})
		if err != nil || string(values[0]) != "2" || values[1] != nil || string(values[2]) != "2" {
			t.Fatalf("%q, %v", values, err)
		}
		if values[0][0] = 'X'; string(values[2]) != "2" {
			t.Error("both are the same memory")
		}
		done, err := d.SwapMany(ctx, []drivers.Swap{
			{Key: "twice", Old: []byte("2"), New: []byte("3")}, {Key: "twice", Old: []byte("3"), New: []byte("4")}, {Key: "twice", Old: []byte("2")},
		})
		if err != nil || !done[0] || !done[1] || done[2] {
			t.Errorf("swaps: %v, %v", done, err)
		}
		if err := d.DeleteMany(ctx, []string{"twice", "twice"}); err != nil {
			t.Error(err)
		}
		added, err := d.AddMany(ctx, []drivers.Item{{Key: "twice", Value: []byte("5")}, {Key: "twice", Value: []byte("6")}})
		if err != nil || string(added[0]) != "5" || string(added[1]) != "5" {
			t.Errorf("added %q, %v", added, err)
		}
	})
}

// Kind: a record of ours that somebody else has written over. It is absent, and the next write
// heals it.
func TestForeignAttributesAreAbsentAndCanBeReplaced(t *testing.T) {
	text := &types.AttributeValueMemberS{Value: "x"}
	eachServer(t, func(t *testing.T, url string) {
		d := openTable(t, url, Options{Table: "foreign"})
		ctx := t.Context()
		for name, spoilt := range map[string]attributes{
			"expires": {expiresAttribute: text},
			"value":   {expiresAttribute: number(1 << 52), valueAttribute: text},
			"far":     {expiresAttribute: &types.AttributeValueMemberN{Value: "1e30"}, valueAttribute: text},
			"lease":   {leaseAttribute: text, leaseUntilAttribute: text},
			"lease's rest": {
				leaseAttribute: binary([]byte("t")), leaseUntilAttribute: number(1), leaseSinceAttribute: text, leaseAwaitedAttribute: text,
			},
			"lease's until": {leaseAttribute: binary([]byte("t")), leaseUntilAttribute: text},
		} {
			spoil := func() {
				t.Helper()
				item := d.keyOf("k")
				maps.Copy(item, spoilt)
				if _, err := d.client.PutItem(ctx, &awsdynamodb.PutItemInput{TableName: &d.table, Item: item}); err != nil {
					t.Fatal(err)
				}
			}
			spoil()
			if got, err := d.GetMany(ctx, []string{"k"}); err != nil || got[0] != nil {
				t.Errorf("%s: read %q, %v", name, got, err)
			}
			if added, err := d.AddMany(ctx, []drivers.Item{{Key: "k", Value: []byte("y")}}); err != nil || string(added[0]) != "y" {
				t.Errorf("%s: added %q, %v", name, added, err)
			}
			spoil()
			if swapped, err := d.SwapMany(ctx, []drivers.Swap{{Key: "k", New: []byte("z")}}); err != nil || !swapped[0] {
				t.Errorf("%s: swapped %v, %v", name, swapped, err)
			}
			spoil()
			for _, absent := range []bool{true, false} {
				want := drivers.LeaseRequest{Token: "token", TTL: time.Minute, IfAbsent: absent}
				if taken, err := d.LeaseMany(ctx, []string{"k"}, want); err != nil || !taken[0].Taken {
					t.Errorf("%s: lease %v, %v", name, taken, err)
				}
				spoil()
			}
		}
	})
}

func TestAnEmptyValueIsOne(t *testing.T) {
	if value := value(attributes{leaseAttribute: binary([]byte("t"))}, 0); value != nil {
		t.Errorf("a lease alone: %q", value)
	}
	if value := value(attributes{expiresAttribute: number(math.MaxInt64)}, time.Now().UnixMilli()); !bytes.Equal(value, []byte{}) || value == nil {
		t.Errorf("an empty value: %q", value)
	}
}
