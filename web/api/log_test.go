package api

import (
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/internal/store"
)

// Whoever asks for the oldest events first must not have the gateway read all that are newer, one question for each.
func TestAPageOfEventsIsOneQuestion(t *testing.T) {
	w, asked := newWorld(t), 0
	w.rows.audit = func(f store.AuditFilter) []store.AuditEvent {
		asked++
		at := int64(5000)
		if f.Before > 0 {
			at = f.Before - 1
		}
		if f.Leaf > 0 {
			at = min(at, int64(f.Leaf)-1)
		}
		if at < 1 {
			return nil
		}
		return []store.AuditEvent{{ID: at, Type: "viewed", Leaf: uint64(at)}}
	}
	var got []struct {
		Leaf uint64 `json:"leaf"`
	}
	out := w.call("officer", http.MethodGet, "/api/v1/audit?before=3&size=1", "")
	decodeInto(t, out.Body.Bytes(), &got)
	if len(got) != 1 || got[0].Leaf != 2 {
		t.Errorf("got %s", out.Body)
	}
	if asked > 1 {
		t.Errorf("the database was asked %d times", asked)
	}
}
