package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// oldAgent is the device's agent as the release before had it: the handshake of version 1, and the ping after it.
func (h *sensorHouse) oldAgent(t *testing.T) {
	keys, err := state.At(h.Path("devices", "press-1")).Keys()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := state.At(h.Path("devices", "press-1")).Bundle()
	if err != nil {
		t.Fatal(err)
	}
	ws := h.dialControl(t)
	defer ws.Close()
	nonce := make([]byte, 16)
	hello, err := json.Marshal(map[string]any{"v": []int{1}, "dev": keys.FP(), "gen": 0, "tls": ws.Exporter(), "bundle": signed.Serial,
		"epoch": 0, "log": wire.TreeHead{}, "boot": "b", "agent": "sallyport-agent of then", "nonce": nonce})
	if err != nil {
		t.Fatal(err)
	}
	line, _, err := wire.Initiate(t.Context(), ws, keys.Noise, signed.Gateway[0], hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce}, time.Second); err != nil {
		t.Fatal(err)
	}
	_, err = line.Receive(time.Now().Add(10 * time.Second))
	if wire.CloseCode(err) != wire.CloseVersion || !strings.Contains(wire.CloseText(err), "sallyport-agent") {
		t.Fatalf("got %v", err)
	}
	h.Eventually("the list tells", h.gateway, func() error {
		if got := h.admin.Run("devices", "list"); !strings.Contains(got.Out, "offline, update its agent") {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

func (h *sensorHouse) dialControl(t *testing.T) *wire.WS {
	ca, err := os.ReadFile(h.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	ws, err := wire.DialWS(context.Background(), wire.Dial{Host: strings.TrimPrefix(h.URL, "https://"), Path: wire.ControlPath,
		Subprotocol: wire.ControlSubprotocol, Limit: wire.MaxControl, TLS: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
