package archive

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
)

// TestAFrameThatCannotBeShownIsNamed: a timeline without it would read as if nothing had happened.
func TestAFrameThatCannotBeShownIsNamed(t *testing.T) {
	for _, k := range format.Kinds() {
		tl := newTimeline()
		err := tl.add(Moment{Frame: &format.Frame{Kind: k, Data: []byte{1, 2}}, At: 3_000_000})
		shown := err == nil && len(tl.Notes) == 1 && tl.Notes[0].At == 3 &&
			strings.Contains(tl.Notes[0].Text, "cannot show")
		if want := strings.ContainsRune("fpwd", rune(k)); shown != want {
			t.Errorf("kind %q: got notes %+v (error %v), want it to be named: %v", byte(k), tl.Notes, err, want)
		}
	}
}
