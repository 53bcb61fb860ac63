package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestSessionsThatShowNothing: one in which nothing was typed or shown, and one with input alone. Everything that the
// page of a session asks for is there, and the record is complete and unaltered.
func TestSessionsThatShowNothing(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	for name, c := range map[string]struct{ script, typed string }{
		"an empty one":         {"true", ""},
		"one with input alone": {"cat >/dev/null", "typed alone\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := withInput(t, d, []byte(c.typed), "sh", "-c", c.script); got != (ran{}) {
				t.Fatalf("got %+v, want status 0 and no word", got)
			}
			readable(t, d, last(t, d), c.typed)
		})
	}
	t.Run("one with a terminal", func(t *testing.T) {
		cmd, _, _ := open(t, d, "--", "true")
		if cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
			t.Fatalf("got status %d", cmd.ProcessState.ExitCode())
		}
		readable(t, d, last(t, d), "")
	})
}

// readable reads a session's record in every form, and has it checked by the gateway and by the verifier.
func readable(t *testing.T, d *testenv.Demo, sid, typed string) {
	read := func(path string, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(get(t, d, "officer", "/api/v1/sessions/"+sid+path)), into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var s apitype.SessionDetail
	var tl apitype.Timeline
	read("", &s)
	read("/timeline", &tl)
	if s.BytesIn != int64(len(typed)) || s.BytesOut != 0 || s.ExitStatus == nil || *s.ExitStatus != 0 {
		t.Errorf("got %d bytes typed, %d shown, exit %v; want %d and 0", s.BytesIn, s.BytesOut, s.ExitStatus, len(typed))
	}
	if !tl.Whole || tl.Cut != "" || (len(tl.Input) > 0) != (typed != "") {
		t.Errorf("timeline: got %+v", tl)
	}
	for form, want := range map[string]string{"transcript": "", "input": typed, "output": ""} {
		if got := get(t, d, "officer", "/api/v1/sessions/"+sid+"/"+form); got != want {
			t.Errorf("%s: got %q, want %q", form, got, want)
		}
	}
	cast := strings.Split(strings.TrimSpace(get(t, d, "officer", "/api/v1/sessions/"+sid+"/cast")), "\n")
	for i, line := range cast {
		var head struct{ Version int }
		var event [3]any
		if i == 0 && (json.Unmarshal([]byte(line), &head) != nil || head.Version == 0) ||
			i > 0 && (json.Unmarshal([]byte(line), &event) != nil || event[1] == "o") {
			t.Errorf("cast: got %s", line)
		}
	}
	var index struct {
		Duration float64
		Segments []struct{ URL string }
	}
	var segment struct{ Events [][]any }
	read("/replay/index.json", &index)
	if len(index.Segments) != 1 || index.Duration <= 0 {
		t.Fatalf("replay: got %+v, want one segment and a length", index)
	}
	read("/replay/"+index.Segments[0].URL, &segment)
	if len(segment.Events) == 0 || segment.Events[len(segment.Events)-1][0] != index.Duration {
		t.Errorf("replay: got %+v, want an event at its end", segment)
	}
	var v apitype.Verdict
	if err := json.Unmarshal([]byte(done(t, d, "officer", "sessions", "verify", sid, "--json")), &v); err != nil || !v.OK {
		t.Errorf("verify: %v, %+v", err, v)
	}
	file := filepath.Join(t.TempDir(), "e.slyb")
	done(t, d, "officer", "sessions", "export", sid, "-o", file)
	if got := d.Verify(t, "--log-key", d.LogKey, "--identity", d.Identities["reader"], file); got.Status != 0 {
		t.Errorf("sallyport-verify: got %+v", got)
	}
}
