package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAnAdministratorSignsAPersonOutWithAReason(t *testing.T) {
	w := newWorld(t)
	const path = "/api/v1/people/sign-out"
	got := w.call("admin", http.MethodPost, path, `{"user":"technician","reason":"lost laptop"}`)
	if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"ended":2`) ||
		!slices.Equal(w.out, []string{"technician by admin: lost laptop"}) {
		t.Errorf("got %d %s, and %q", got.Code, got.Body, w.out)
	}
	w.out = nil
	for what, c := range map[string]struct {
		body string
		want int
	}{
		"no person":               {`{"user":"","reason":"x"}`, 400},
		"no reason":               {`{"user":"technician","reason":""}`, 400},
		"a reason of two lines":   {`{"user":"technician","reason":"a\nb"}`, 400},
		"a person who is unknown": {`{"user":"zoe","reason":"x"}`, 404},
		"a machine":               {`{"user":"machine:job","reason":"x"}`, 400},
	} {
		if got := w.call("admin", http.MethodPost, path, c.body); got.Code != c.want || len(w.out) > 0 {
			t.Errorf("%s: got %d %s, and %q", what, got.Code, got.Body, w.out)
		}
	}
}
