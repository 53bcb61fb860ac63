package node

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAClockWithoutSynchronisationIsReported(t *testing.T) {
	for what, c := range map[string]struct {
		state int
		t     unix.Timex
		good  bool
	}{
		"synchronised":                     {unix.TIME_OK, unix.Timex{}, true},
		"the kernel calls it unreliable":   {unix.TIME_ERROR, unix.Timex{}, false},
		"nothing has ever synchronised it": {unix.TIME_OK, unix.Timex{Status: unix.STA_UNSYNC}, false},
	} {
		text, err := clockText(c.state, c.t)
		if (err == nil) != c.good || c.good && !strings.HasPrefix(text, "synchronised") || !c.good &&
			!strings.Contains(err.Error(), "nothing keeps this machine's clock right") {
			t.Errorf("%s: got %q, %v", what, text, err)
		}
	}
}
