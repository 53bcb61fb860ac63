package api

import (
	"net/http"
	"testing"
)

func TestTokensThatAreNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		as, body string
		want     int
	}{
		"for 90 days":                    {"technician", `{"scopes":["session"],"ttl_seconds":7776000}`, 200},
		"for a second more":              {"technician", `{"scopes":["session"],"ttl_seconds":7776001}`, 400},
		"for a time that overflows":      {"technician", `{"scopes":["session"],"ttl_seconds":9223372036854775807}`, 400},
		"for less than a minute":         {"technician", `{"scopes":["session"],"ttl_seconds":59}`, 400},
		"for a time before now":          {"technician", `{"scopes":["session"],"ttl_seconds":-3600}`, 400},
		"for no time":                    {"technician", `{"scopes":["session"]}`, 400},
		"without a scope":                {"technician", `{"scopes":[],"ttl_seconds":3600}`, 400},
		"for unsealing":                  {"officer", `{"scopes":["unseal"],"ttl_seconds":3600}`, 400},
		"for making tokens":              {"admin", `{"scopes":["token"],"ttl_seconds":3600}`, 400},
		"for everything":                 {"admin", `{"scopes":["*"],"ttl_seconds":3600}`, 400},
		"for a duty among good ones":     {"technician", `{"scopes":["session","approve"],"ttl_seconds":3600}`, 403},
		"for reviews, as policy says":    {"officer", `{"scopes":["review"],"ttl_seconds":3600}`, 200},
		"for export, which policy keeps": {"officer", `{"scopes":["export"],"ttl_seconds":3600}`, 403},
		"from a network that is none":    {"technician", `{"scopes":["session"],"ttl_seconds":3600,"network":"home"}`, 400},
		"from one address":               {"technician", `{"scopes":["session"],"ttl_seconds":3600,"network":"192.0.2.1/32"}`, 200},
		"by a token, whatever its scope": {"audit-token", `{"scopes":["review"],"ttl_seconds":3600}`, 403},
		"with a name of two lines":       {"technician", `{"scopes":["session"],"ttl_seconds":3600,"name":"a\nb"}`, 400},
		"for a machine of two lines":     {"admin", `{"scopes":["session"],"ttl_seconds":3600,"machine":"a\u009bb"}`, 400},
		"by a machine":                   {"machine", `{"scopes":["session"],"ttl_seconds":3600}`, 403},
		"with more than is known":        {"technician", `{"scopes":["session"],"ttl_seconds":3600,"groups":["administrators"]}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := w.call(c.as, http.MethodPost, "/api/v1/tokens", c.body)
			if got.Code != c.want {
				t.Errorf("got %d %s, want %d", got.Code, got.Body, c.want)
			}
			if made := len(w.signer.tokens) + len(w.rows.tokens); (made > 0) != (c.want == 200) {
				t.Errorf("got %d rows at signer and store", made)
			}
		})
	}
}
