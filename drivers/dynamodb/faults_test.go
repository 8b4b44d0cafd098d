package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"github.com/cachegen/cachegen/drivers"
)

// A wire stands between a client and its server, or in the place of a server.
type wire struct {
	answer func(operation string, request *http.Request, body []byte) (*http.Response, error)

	mu    sync.Mutex
	count map[string]int
}

func (w *wire) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	if w.count == nil {
		w.count = make(map[string]int)
	}
	w.count[operation]++
	w.mu.Unlock()
	return w.answer(operation, request, body)
}

func (w *wire) requests(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[operation]
}

// through returns a driver whose requests go through w.
func through(w *wire, url string) *Driver {
	return New(awsdynamodb.New(awsdynamodb.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(url), HTTPClient: w,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}), Options{})
}

func respond(status int, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func refuse(code string) (*http.Response, error) {
	return respond(http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, code))
}

type object = map[string]json.RawMessage

func remarshal[T any](t *testing.T, from any) (to T) {
	t.Helper()
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, &to)
	}
	if err != nil {
		t.Error(err)
	}
	return to
}

// A throttled table: of what a batch asks for, some is done and the rest is left.
func TestUnprocessedItemsAreAskedForAgain(t *testing.T) {
	const done = 9
	server := dynalite.Of(t)
	openTable(t, server.URL(), Options{})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	w := &wire{}
	w.answer = func(operation string, request *http.Request, body []byte) (*http.Response, error) {
		all := remarshal[map[string]object](t, json.RawMessage(body))
		var table json.RawMessage // what is left, in the shape of the request
		left, kept := 0, "UnprocessedItems"
		if operation == "BatchGetItem" {
			kept = "UnprocessedKeys"
			of := remarshal[object](t, all["RequestItems"][DefaultTable])
			keys := remarshal[[]json.RawMessage](t, of["Keys"])
			n := min(len(keys), done)
			of["Keys"] = remarshal[json.RawMessage](t, keys[n:])
			table, left = remarshal[json.RawMessage](t, of), len(keys)-n
			of["Keys"] = remarshal[json.RawMessage](t, keys[:n])
			all["RequestItems"][DefaultTable] = remarshal[json.RawMessage](t, of)
		} else {
			requests := remarshal[[]json.RawMessage](t, all["RequestItems"][DefaultTable])
			n := min(len(requests), done)
			table, left = remarshal[json.RawMessage](t, requests[n:]), len(requests)-n
			all["RequestItems"][DefaultTable] = remarshal[json.RawMessage](t, requests[:n])
		}
		body = remarshal[json.RawMessage](t, all)
		forwarded := request.Clone(request.Context())
		forwarded.Body, forwarded.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		forwarded.Header.Del("Accept-Encoding")
		response, err := client.Do(forwarded)
		if err != nil || left == 0 {
			return response, err
		}
		defer response.Body.Close()
		var answer object
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			return nil, err
		}
		answer[kept] = remarshal[json.RawMessage](t, map[string]json.RawMessage{DefaultTable: table})
		return respond(http.StatusOK, string(remarshal[json.RawMessage](t, answer)))
	}
	d := through(w, server.URL())
	const n = 60
	var keys []string
	var items []drivers.Item
	for i := range n {
		keys = append(keys, fmt.Sprint("key", i))
		items = append(items, drivers.Item{Key: keys[i], Value: fmt.Append(nil, i)})
	}
	if err := d.SetMany(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	values, err := d.GetMany(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		if !bytes.Equal(value, items[i].Value) {
			t.Errorf("%s: %q", keys[i], value)
		}
	}
	if err := d.DeleteMany(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	if values, err = d.GetMany(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		if value != nil {
			t.Errorf("%s after delete: %q", keys[i], value)
		}
	}
	// 25, 25 and 10 items, twice; 60 keys, twice.
	if got, want := w.requests("BatchWriteItem"), 2*(3+3+2); got != want {
		t.Errorf("%d writes, want %d", got, want)
	}
	if got, want := w.requests("BatchGetItem"), 2*7; got != want {
		t.Errorf("%d reads, want %d", got, want)
	}
}

// nothing is done by a table that is throttled for good.
func nothing() *wire {
	return &wire{answer: func(operation string, _ *http.Request, body []byte) (*http.Response, error) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(body, &all); err != nil {
			return nil, err
		}
		if operation == "BatchGetItem" {
			return respond(http.StatusOK, fmt.Sprintf(`{"Responses":{},"UnprocessedKeys":%s}`, all["RequestItems"]))
		}
		return respond(http.StatusOK, fmt.Sprintf(`{"UnprocessedItems":%s}`, all["RequestItems"]))
	}}
}

func TestAThrottledTableIsGivenUp(t *testing.T) {
	for name, operation := range map[string]func(context.Context, *Driver) error{
		"get": func(ctx context.Context, d *Driver) error { _, err := d.GetMany(ctx, []string{"a", "b"}); return err },
		"set": func(ctx context.Context, d *Driver) error {
			return d.SetMany(ctx, []drivers.Item{{Key: "a"}, {Key: "b"}})
		},
		"delete": func(ctx context.Context, d *Driver) error { return d.DeleteMany(ctx, []string{"a", "b"}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := nothing()
				start := time.Now()
				err := operation(t.Context(), through(w, "http://table.test"))
				if err == nil || !errors.Is(err, drivers.ErrAnswered) || !strings.Contains(err.Error(), "throttled") || !strings.Contains(err.Error(), name) {
					t.Errorf("error %v", err)
				}
				requests := w.requests("BatchGetItem") + w.requests("BatchWriteItem")
				if took := time.Since(start); requests != maxStalls || took < time.Second || took > maxStalls*maxPause {
					t.Errorf("%d requests in %s", requests, took)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := operation(ctx, through(nothing(), "http://table.test"))
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, drivers.ErrAnswered) || time.Since(start) != 50*time.Millisecond {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
}

// What a throttled conditional write asks for has not been done, so it is sent again.
func TestThrottledConditionalWritesAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		w.answer = func(operation string, _ *http.Request, _ []byte) (*http.Response, error) {
			if w.requests(operation) < 3 {
				return refuse("ProvisionedThroughputExceededException")
			}
			return respond(http.StatusOK, "{}")
		}
		d := through(w, "http://table.test")
		ctx := t.Context()
		done, err := d.SwapMany(ctx, []drivers.Swap{{Key: "a", New: []byte("x")}})
		if err != nil || !done[0] || w.requests("PutItem") != 3 {
			t.Errorf("swap: %v, %v after %d requests", done, err, w.requests("PutItem"))
		}
		if done, err = d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("x")}}); err != nil || !done[0] || w.requests("DeleteItem") != 3 {
			t.Errorf("pull: %v, %v after %d requests", done, err, w.requests("DeleteItem"))
		}
		lent, err := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Second})
		if err != nil || !lent[0].Taken || w.requests("UpdateItem") != 3 {
			t.Errorf("lease: %v, %v after %d requests", lent, err, w.requests("UpdateItem"))
		}
	})
}

// The server has carried out what it was asked, and the answer is lost. Whoever is told
// that the condition did not hold would believe that somebody else has the value.
func TestALostAnswerIsAnError(t *testing.T) {
	server := dynalite.Of(t)
	d := openTable(t, server.URL(), Options{})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	w := &wire{}
	w.answer = func(_ string, request *http.Request, _ []byte) (*http.Response, error) {
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	broken := through(w, server.URL())
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "swap", Value: []byte("x")}, {Key: "pull", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	want := drivers.LeaseRequest{Token: "t", TTL: time.Hour}
	if lent, err := d.LeaseMany(ctx, []string{"fill"}, want); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	for name, operation := range map[string]func() (any, error){
		"swap": func() (any, error) {
			return broken.SwapMany(ctx, []drivers.Swap{{Key: "swap", Old: []byte("x"), New: []byte("y")}})
		},
		"pull": func() (any, error) { return broken.SwapMany(ctx, []drivers.Swap{{Key: "pull", Old: []byte("x")}}) },
		"fill": func() (any, error) {
			return broken.FillMany(ctx, []drivers.Item{{Key: "fill", Value: []byte("y")}}, "t")
		},
		"lease": func() (any, error) { return broken.LeaseMany(ctx, []string{"lease"}, want) },
	} {
		if done, err := operation(); err == nil {
			t.Errorf("%s: told %v", name, done)
		}
	}
	for operation, want := range map[string]int{"PutItem": 2, "DeleteItem": 1, "UpdateItem": 1} {
		if got := w.requests(operation); got != want {
			t.Errorf("%d requests of %s, want %d", got, operation, want)
		}
	}
	values, err := d.GetMany(ctx, []string{"swap", "pull", "fill"})
	if err != nil || string(values[0]) != "y" || values[1] != nil || string(values[2]) != "y" {
		t.Errorf("afterwards: %q, %v", values, err)
	}
}

// DynamoDB tells what is there instead; older servers have to be asked.
func TestAddReadsNothingThatItWasTold(t *testing.T) {
	w := &wire{answer: func(string, *http.Request, []byte) (*http.Response, error) {
		return respond(http.StatusBadRequest, fmt.Sprintf(
			`{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no",`+
				`"Item":{"key":{"B":"AGE="},"value":{"B":"b2xk"},"expires":{"N":"%d"}}}`, forever.UnixMilli()))
	}}
	values, err := through(w, "http://table.test").AddMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("new")}})
	if err != nil || string(values[0]) != "old" || w.requests("GetItem") != 0 {
		t.Errorf("%q, %v after %d reads", values, err, w.requests("GetItem"))
	}
}

// DynamoDB itself knows who may do what. The servers of the tests only want to be told
// who asks.
func TestNoCredentialsAreAnError(t *testing.T) {
	eachServer(t, func(t *testing.T, url string) {
		openTable(t, url, Options{})
		d := New(dial(t, url, func(o *awsdynamodb.Options) { o.Credentials = aws.AnonymousCredentials{} }), Options{})
		_, get := d.GetMany(t.Context(), []string{"a"})
		_, lease := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
		for operation, err := range map[string]error{
			"get 1 key": get, "lease 1 key": lease, "set 1 key": d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}),
		} {
			var api smithy.APIError
			want := "dynamodb: " + operation + ` in table "cachegen": `
			if !errors.As(err, &api) || !strings.HasPrefix(api.ErrorCode(), "MissingAuthenticationToken") || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want %q and that the token is missing", err, want)
			}
		}
	})
}

func TestWrongCredentialsAreAnErrorAtOnce(t *testing.T) {
	w := &wire{answer: func(string, *http.Request, []byte) (*http.Response, error) {
		return refuse("UnrecognizedClientException")
	}}
	_, err := through(w, "http://table.test").GetMany(t.Context(), []string{"a"})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "UnrecognizedClientException" || !strings.HasPrefix(err.Error(), "dynamodb: get 1 key in table") {
		t.Errorf("error %v", err)
	}
	if n := w.requests("BatchGetItem"); n != 1 {
		t.Errorf("%d requests", n)
	}
}
