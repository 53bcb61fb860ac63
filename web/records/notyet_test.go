package records

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

func TestARecordingThatIsNotAnnouncedYetIsNeitherProvenNorBroken(t *testing.T) {
	r := record(t)
	p := &r.parts[0]
	p.OpenLeaf, p.CloseLeaf, p.State, p.Started = nil, nil, store.RecordRunning, time.Now()
	v, err := r.Verify(t.Context(), r.session, r.parts)
	if err != nil || v.OK || !v.NotYet {
		t.Fatalf("got %+v %v, want not yet", v, err)
	}
	for _, c := range v.Checks {
		if !c.OK && !c.NotYet {
			t.Errorf("the check %+v reads as a fault", c)
		}
	}
	p.Started = time.Now().Add(-openingTime - time.Second)
	if v, err = r.Verify(t.Context(), r.session, r.parts); err != nil || v.OK || v.NotYet {
		t.Errorf("long after an opening has ended: got %+v %v, want no", v, err)
	}
	p.Started = time.Now().Add(openingTime + time.Hour)
	if v, err = r.Verify(t.Context(), r.session, r.parts); err != nil || v.OK || v.NotYet {
		t.Errorf("begins in the future: got %+v %v, want no", v, err)
	}
	p.Started, p.State = time.Now(), store.RecordComplete
	if v, err = r.Verify(t.Context(), r.session, r.parts); err != nil || v.OK || v.NotYet {
		t.Errorf("ended and never announced: got %+v %v, want no", v, err)
	}
}
