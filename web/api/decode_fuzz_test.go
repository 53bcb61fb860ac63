package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"device":"press-1","login":"svc"}`))
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v map[string]json.RawMessage
		if decode(raw, &v) != nil {
			return
		}
		seen := map[string]bool{}
		for name := range v {
			if fold := strings.ToLower(name); seen[fold] {
				t.Errorf("took %s with two spellings of one name", raw)
			} else {
				seen[fold] = true
			}
		}
	})
}
