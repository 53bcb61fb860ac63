package node

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestAPanicOfAHandlerIsInTheLog: the client learns only that the connection was closed.
func TestAPanicOfAHandlerIsInTheLog(t *testing.T) {
	var said bytes.Buffer
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := Open(l, slog.New(slog.NewTextHandler(&said, nil)))
	f.serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") }))
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("got an answer of a handler that panics")
	}
	f.shutdown(t.Context())
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "a fault of ours") {
		t.Errorf("the log has %q, want the panic", said.String())
	}
}
