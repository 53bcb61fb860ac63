package api

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestTheDecisionOfASessionStaysItsOwn: decisions on further channels are stored beside it, and are newer.
func TestTheDecisionOfASessionStaysItsOwn(t *testing.T) {
	decided := func(allowed ...bool) (rows []store.Decision) {
		for i, yes := range allowed {
			rows = append(rows, store.Decision{ID: int64(i + 1), Allowed: yes, Text: fmt.Sprintf("decision %d", i+1)})
		}
		slices.Reverse(rows)
		return rows
	}
	for name, c := range map[string]struct {
		rows []store.Decision
		why  string
		more int
	}{
		"none":                         {nil, "", 0},
		"a session alone":              {decided(true), "decision 1", 0},
		"a refused session":            {decided(false), "decision 1", 0},
		"two channels and one refused": {decided(true, true, false, true), "decision 1", 2},
		"as many as there can be":      {decided(append([]bool{true, false}, slices.Repeat([]bool{true}, 1022)...)...), "decision 1", 1022},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rows.decisions = c.rows
			var s apitype.SessionDetail
			decodeInto(t, w.call("technician", "GET", "/api/v1/sessions/"+sid(1).String(), "").Body.Bytes(), &s)
			if s.Decision != c.why || s.MoreChannels != c.more {
				t.Errorf("got %q and %d more channels, want %q and %d", s.Decision, s.MoreChannels, c.why, c.more)
			}
		})
	}
}
