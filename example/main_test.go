package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"testing"
)

func TestServeAnswersUntilItIsStopped(t *testing.T) {
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		err := serve(ctx, in, "127.0.0.1:0", "", "")
		in.CloseWithError(io.EOF)
		ended <- err
	}()

	var url string
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	go io.Copy(io.Discard, out)
	if url == "" {
		t.Fatalf("serve printed no URL: %v", <-ended)
	}
	for _, path := range []string{"/users/1", "/settings/web"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}

	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
