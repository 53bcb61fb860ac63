package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestASessionsPageSaysWhatItsEvidenceSaysOtherwise also holds it to be a page when nothing could be compared.
func TestASessionsPageSaysWhatItsEvidenceSaysOtherwise(t *testing.T) {
	w := newWorld(t)
	read := func() (s apitype.SessionDetail) {
		t.Helper()
		got := w.call("technician", "GET", "/api/v1/sessions/"+sid(1).String(), "")
		if err := json.Unmarshal(got.Body.Bytes(), &s); err != nil || got.Code != http.StatusOK {
			t.Fatalf("got %d %s, %v", got.Code, got.Body, err)
		}
		return s
	}
	if s := read(); len(s.Differs) > 0 || s.NotCompared != "" {
		t.Errorf("nothing differs: got %q %q", s.Differs, s.NotCompared)
	}
	w.reads.differs = []string{"person: the database says one, and the pass another"}
	if s := read(); !slices.Equal(s.Differs, w.reads.differs) {
		t.Errorf("got %q, want %q", s.Differs, w.reads.differs)
	}
	w.reads.silent = true
	if s := read(); !strings.Contains(s.NotCompared, "did not answer") || len(s.Differs) > 0 {
		t.Errorf("a silent log: got %q %q, want a page that says so", s.NotCompared, s.Differs)
	}
	w.reads.silent = false
	w.reads.differs, w.reads.unread = nil, errkind.New(errkind.Unavailable, "the signer does not answer").Because(errors.New("dial"))
	if s := read(); s.NotCompared != "the signer does not answer" {
		t.Errorf("got %q, want why nothing was compared", s.NotCompared)
	}
}
