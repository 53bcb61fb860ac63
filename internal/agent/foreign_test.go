package agent_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/wire"
)

// A server that is not the gateway closes with a text of its own, which would retitle the terminal of the person who
// enrols a device, or hide a line from them.
func TestTextOfAnotherServerDoesNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	up := websocket.Upgrader{Subprotocols: []string{wire.ControlSubprotocol}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		ws.ReadMessage()
		text := websocket.FormatCloseMessage(4000, "ended\x1b]0;admitted\x07\u202e")
		ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
	}))
	t.Cleanup(srv.Close)
	g := newGate(t)
	code := g.code
	code.URL = srv.URL
	out, exit := newDevice(t).run("enroll", code.String(), "--preset", "open", "--ephemeral")
	if exit != 1 || !strings.Contains(out, "did not prove") || !strings.Contains(out, "ended]0;admitted") {
		t.Errorf("exit %d: %q", exit, out)
	}
	if strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Errorf("the other server's text steers the terminal: %q", out)
	}
}
