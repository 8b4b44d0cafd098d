package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServeAnswersWhatItPrintsToTry(t *testing.T) {
	printed, stop := start(t, "")
	defer stop()
	calls := regexp.MustCompile(`curl (?:-i )?(?:-X (\w+) )?(?:-d '([^']*)' )?(http:\S+)`).FindAllStringSubmatch(printed, -1)
	if len(calls) < 10 {
		t.Fatalf("%d lines to try:\n%s", len(calls), printed)
	}
	var ada []string // user 1 each time that it is read
	for _, c := range calls {
		method := c[1]
		if method == "" && c[2] != "" {
			method = http.MethodPost
		}
		body := request(t, method, c[3], c[2])
		if method == "" && strings.HasSuffix(c[3], "/users/1") {
			ada = append(ada, body)
		}
	}
	for i, want := range []string{`"Ada Allen"`, `"Ada King"`, `"Languages"`} {
		if i >= len(ada) || !strings.Contains(ada[i], want) {
			t.Errorf("read %d of user 1 has no %s: %s", i+1, want, ada)
		}
	}
}

func TestServeWorksWhileRedisIsAway(t *testing.T) {
	printed, stop := start(t, "redis://127.0.0.1:1")
	defer stop()
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(printed)
	if got := request(t, "", url+"/users/1", ""); !strings.Contains(got, "Ada Allen") {
		t.Error(got)
	}
}

func TestServeSaysHowToAvoidAPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = serve(t.Context(), io.Discard, l.Addr().String(), "", "")
	if err == nil || !strings.Contains(err.Error(), "-addr") {
		t.Fatal(err)
	}
}

// start serves on a free port. It returns what serve prints, when it has, and
// what stops it and checks that it ends well.
func start(t *testing.T, redisURL string) (printed string, stop func()) {
	t.Helper()
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := serve(ctx, in, "127.0.0.1:0", "", redisURL)
		in.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	for !strings.Contains(printed, "/settings/") && lines.Scan() {
		printed += lines.Text() + "\n"
	}
	go io.Copy(io.Discard, out)
	if !strings.Contains(printed, "/settings/") {
		cancel()
		t.Fatalf("serve printed %q: %v", printed, <-ended)
	}
	return printed, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// request returns the body of an answer, which has to be a success.
func request(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Errorf("%s %s: %s %s %v", method, url, resp.Status, answer, err)
	}
	return string(answer)
}
