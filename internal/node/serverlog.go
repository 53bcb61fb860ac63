package node

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// serverLog returns the log of an HTTP server. What its clients cause, such as handshakes that fail, is logged at level
// debug. A panic of a handler is a fault of the gateway, and is logged as an error.
func serverLog(to *slog.Logger) *log.Logger { return log.New(serverWriter{to}, "", 0) }

type serverWriter struct{ to *slog.Logger }

// Write implements io.Writer for one message of net/http.
func (w serverWriter) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(p, []byte("http: panic serving")) {
		level = slog.LevelError
	}
	w.to.Log(context.Background(), level, string(bytes.TrimSpace(p)))
	return len(p), nil
}
