package records

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/web/apitype"
)

func TestAWholeRecordIsProvenCheckByCheck(t *testing.T) {
	r := record(t)
	v, err := r.Verify(t.Context(), r.session, r.parts)
	if err != nil || !v.OK || v.Summary != "Yes." {
		t.Fatalf("got %+v %v, want yes", v, err)
	}
	if !slices.ContainsFunc(v.Checks, func(c apitype.Check) bool { return c.Text == "1 chain states named by progress leaves hold" }) {
		t.Errorf("the log's progress was not compared: %+v", v.Checks)
	}
	levels := map[string]bool{}
	for _, c := range v.Checks {
		levels[c.Level] = true
		if !c.OK {
			t.Errorf("a check failed: %+v", c)
		}
	}
	if !levels["A"] || !levels["B"] {
		t.Errorf("the levels %v ran, want A and B", levels)
	}
}

// spoil changes a byte in the middle of one of the record's files.
func (r *recorded) spoil(t *testing.T, name string) {
	t.Helper()
	path := r.house.Find(name)
	raw, err := os.ReadFile(path)
	must(t, err)
	raw[len(raw)/2] ^= 1
	must(t, os.WriteFile(path, raw, 0o600))
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	slotRK := func(r *recorded) string { rk, _ := format.SlotNames(r.session.ID, 0); return rk }
	slotSK := func(r *recorded) string { _, sk := format.SlotNames(r.session.ID, 0); return sk }
	for name, c := range map[string]struct {
		spoil func(t *testing.T, r *recorded)
		want  string
	}{
		"a changed byte":      {func(t *testing.T, r *recorded) { r.spoil(t, format.FileName(r.session.ID, 0)) }, "A"},
		"a changed slot":      {func(t *testing.T, r *recorded) { r.spoil(t, slotRK(r)) }, "slot"},
		"another sealing key": {func(t *testing.T, r *recorded) { must(t, os.Remove(r.house.Find(slotSK(r)))) }, "slot file is missing"},
		"keys in each other's place": {func(t *testing.T, r *recorded) {
			rk, sk := r.house.Find(slotRK(r)), r.house.Find(slotSK(r))
			must(t, os.Rename(rk, rk+".other"))
			must(t, os.Rename(sk, rk))
			must(t, os.Rename(rk+".other", sk))
		}, "this is not the slot file that it names"},
		"no recording": {func(t *testing.T, r *recorded) {
			must(t, os.Remove(r.house.Find(format.FileName(r.session.ID, 0))))
		}, "is missing, and no leaf says that it was shredded"},
		"never announced":                   {func(t *testing.T, r *recorded) { r.parts[0].OpenLeaf = nil }, "no entry of the log"},
		"the close taken for the open leaf": {func(t *testing.T, r *recorded) { r.parts[0].OpenLeaf = r.parts[0].CloseLeaf }, "open body"},
		"a leaf beyond the log":             {func(t *testing.T, r *recorded) { n := uint64(99); r.parts[0].CloseLeaf = &n }, "beyond the log"},
		"another end":                       {func(t *testing.T, r *recorded) { r.parts[0].CloseLeaf = r.house.decided }, "close body"},
		"another pass":                      {func(t *testing.T, r *recorded) { r.parts[0].Pass = record(t).parts[0].Pass }, "pass"},
		"another session's leaves": {func(t *testing.T, r *recorded) {
			r.parts[0].OpenLeaf = &r.house.Run([]byte("x"), 1).Parts[0].Open
		}, "is of session"},
		"another state than its progress says": {func(t *testing.T, r *recorded) {
			open := *r.parts[0].OpenLeaf
			r.house.Forge(func(add func(string, []byte, ...uint64) uint64) {
				add("progress", r.progressBody(t, open, r.middle.Seq-1), open)
			})
			r.house.Reopen()
		}, "progress"},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			c.spoil(t, r)
			v, err := r.Verify(t.Context(), r.session, r.parts)
			if err != nil || v.OK || !strings.HasPrefix(v.Summary, "No: ") {
				t.Fatalf("got %+v %v, want no", v, err)
			}
			last := v.Checks[len(v.Checks)-1]
			if last.OK || !strings.Contains(last.Level+" "+last.Text, c.want) {
				t.Errorf("the last check is %+v, want one that failed and says %q", last, c.want)
			}
		})
	}
}

// TestWhatTheDatabaseSaysDifferentlyComesFirst edits each column that a page shows of a session.
func TestWhatTheDatabaseSaysDifferentlyComesFirst(t *testing.T) {
	r := record(t)
	for name, edit := range map[string]func(s *store.Session, p *store.Part){
		"person":         func(s *store.Session, _ *store.Part) { s.PrincipalName = "ada" },
		"login":          func(s *store.Session, _ *store.Part) { s.Login = "root" },
		"device":         func(s *store.Session, _ *store.Part) { s.Device = "press-2" },
		"action":         func(s *store.Session, _ *store.Part) { s.Action = "shell:root" },
		"command":        func(s *store.Session, _ *store.Part) { s.Argv = []string{"ls"} },
		"terminal":       func(s *store.Session, _ *store.Part) { s.PTY = false },
		"reason":         func(s *store.Session, _ *store.Part) { s.Purpose = "repair" },
		"ticket":         func(s *store.Session, _ *store.Part) { s.Ticket = "T-1" },
		"address":        func(s *store.Session, _ *store.Part) { s.ClientAddr = "192.0.2.8" },
		"API token":      func(s *store.Session, _ *store.Part) { s.ViaToken = "" },
		"asked":          func(s *store.Session, _ *store.Part) { s.Asked = s.Asked.Add(-2 * slack) },
		"started":        func(s *store.Session, _ *store.Part) { s.Started = s.Started.Add(2 * slack) },
		"ended":          func(s *store.Session, _ *store.Part) { s.Ended = s.Ended.Add(2 * slack) },
		"end":            func(s *store.Session, _ *store.Part) { s.EndReason = "idle" },
		"permitted":      func(s *store.Session, _ *store.Part) { s.Until = s.Until.Add(slack) },
		"gaps":           func(s *store.Session, _ *store.Part) { s.Gaps = 3 },
		"first hash":     func(_ *store.Session, p *store.Part) { p.H0[0] ^= 1 },
		"last hash":      func(_ *store.Session, p *store.Part) { p.HFinal[0] ^= 1 },
		"bytes":          func(_ *store.Session, p *store.Part) { p.Bytes++ },
		"kept until":     func(_ *store.Session, p *store.Part) { p.Retain = p.Retain.AddDate(0, 0, -2) },
		"who asked":      func(_ *store.Session, p *store.Part) { p.Asker = nil },
		"state":          func(s *store.Session, _ *store.Part) { s.State = store.Live },
		"state: ":        func(s *store.Session, _ *store.Part) { s.State = store.Refused },
		"says nothing":   func(s *store.Session, _ *store.Part) { s.State, s.Ended, s.EndReason = store.Live, time.Time{}, "" },
		"names no end":   func(_ *store.Session, p *store.Part) { p.CloseLeaf, p.State = nil, store.RecordRunning },
		"record":         func(s *store.Session, _ *store.Part) { s.Record = store.RecordCut },
		"part 0, record": func(_ *store.Session, p *store.Part) { p.State = store.RecordGap },
		"recorded from":  func(_ *store.Session, p *store.Part) { p.Started = p.Started.Add(1e6) },
	} {
		t.Run(name, func(t *testing.T) {
			s, ps := r.session, slices.Clone(r.parts)
			edit(&s, &ps[0])
			v, err := r.Verify(t.Context(), s, ps)
			if err != nil || v.OK {
				t.Fatalf("got %+v %v, want no", v, err)
			}
			if c := v.Checks[0]; c.OK || c.Level != levelRow || !strings.Contains(c.Text, name) || !strings.Contains(v.Summary, c.Text) {
				t.Errorf("the first check is %+v and the summary %q, want a difference of %q", c, v.Summary, name)
			}
			if d, err := r.Differences(t.Context(), s, ps); err != nil || len(d) == 0 {
				t.Errorf("without reading the recording: got %q %v", d, err)
			}
		})
	}
}

// TestASessionWithBytesIsNotRefused checks the way that holds for each reason of an end, also one that a session has
// before a program runs.
func TestASessionWithBytesIsNotRefused(t *testing.T) {
	r := record(t)
	s := r.session
	s.State = store.Refused
	v, err := r.Verify(t.Context(), s, r.parts)
	if err != nil || v.OK {
		t.Fatalf("got %+v %v, want no", v, err)
	}
	if !slices.ContainsFunc(v.Checks, func(c apitype.Check) bool {
		return !c.OK && c.Level == levelRow && strings.Contains(c.Text, `says "refused", and the recording has 58 bytes`)
	}) {
		t.Errorf("got %+v, want that the recording has bytes", v.Checks)
	}
}

func TestARowThatAgreesHasNoDifference(t *testing.T) {
	r := record(t)
	for name, edit := range map[string]func(s *store.Session, p *store.Part){
		"as written":                  func(*store.Session, *store.Part) {},
		"spaces around the reason":    func(s *store.Session, _ *store.Part) { s.Purpose = " noise " },
		"a recording that is missing": func(s *store.Session, p *store.Part) { s.Record, p.State = store.RecordMissing, store.RecordMissing },
	} {
		s, ps := r.session, slices.Clone(r.parts)
		edit(&s, &ps[0])
		if d, err := r.Differences(t.Context(), s, ps); err != nil || len(d) > 0 {
			t.Errorf("%s: got %q %v, want none", name, d, err)
		}
	}
}

func TestADecisionThatTheDatabaseDoesNotNameIsADifference(t *testing.T) {
	r := record(t)
	later := *r.parts[0].OpenLeaf + 1 // a decision on a further channel follows the opening
	for _, leaf := range []*uint64{nil, &later} {
		r.house.decided = leaf
		d, err := r.Differences(t.Context(), r.session, r.parts)
		if err != nil || len(d) != 1 || !strings.HasPrefix(d[0], "decision: ") {
			t.Errorf("got %q %v, want one about the decision", d, err)
		}
	}
}

func TestASessionThatStartedIsAnnounced(t *testing.T) {
	r := record(t)
	for name, ps := range map[string][]store.Part{"no part": nil, "no open leaf": {{State: store.RecordComplete}}} {
		s := r.session
		if d, err := r.Differences(t.Context(), s, ps); err != nil || len(d) != 1 || !strings.HasPrefix(d[0], "started: ") {
			t.Errorf("%s: got %q %v, want one about the start", name, d, err)
		}
		s.State, s.Started = store.Refused, time.Time{}
		if d, err := r.Differences(t.Context(), s, ps); err != nil || len(d) != 0 {
			t.Errorf("%s of a refused session: got %q %v, want none", name, d, err)
		}
	}
}
