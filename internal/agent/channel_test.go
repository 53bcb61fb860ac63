package agent_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// TestAChannelHasTheNumberThatItWasOpenedWith: two that were opened at once may arrive in either order.
func TestAChannelHasTheNumberThatItWasOpenedWith(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	for _, n := range []uint32{2, wire.MaxChannel, 1} {
		p := l.numbered(n)
		if !p.exec("exit 3") {
			t.Fatal("refused")
		}
		p.finish(t)
	}
	var got []uint32
	for _, e := range l.find(wire.EventCommand, 6) {
		if e.Ended {
			got = append(got, e.Channel)
		}
	}
	if len(got) != 3 || got[0] != 2 || got[1] != wire.MaxChannel || got[2] != 1 {
		t.Errorf("the events name the channels %v", got)
	}
}

// TestAChannelNumberThatDoesNotHoldIsRefused: the record could not tell such a channel from another.
func TestAChannelNumberThatDoesNotHoldIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	l.numbered(7).ch.Close()
	for what, c := range map[string]struct {
		extra []byte
		want  string
	}{
		"none":             {nil, "is opened with its number"},
		"0":                {wire.SessionChannel{}.Marshal(), "is 1 to 1024"},
		"above the most":   {wire.SessionChannel{Channel: 1025}.Marshal(), "is 1 to 1024"},
		"short":            {[]byte{0, 0, 1}, "with its number alone"},
		"and more":         {append(wire.SessionChannel{Channel: 1}.Marshal(), 0), "with its number alone"},
		"of another":       {wire.SessionChannel{Channel: 7}.Marshal(), "7 was used before"},
		"of another again": {wire.SessionChannel{Channel: 7}.Marshal(), "7 was used before"},
	} {
		_, _, err := l.conn.OpenChannel("session", c.extra)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason != ssh.Prohibited || !strings.Contains(refused.Message, c.want) {
			t.Errorf("%s: got %v, want it prohibited …%s…", what, err, c.want)
		}
	}
	refusals := l.find(wire.EventRefused, 7)
	if len(refusals) != 7 {
		t.Errorf("the record has %d refusals, want 7", len(refusals))
	}
	for _, e := range refusals {
		if e.Channel != 0 {
			t.Errorf("a refusal is told of channel %d", e.Channel)
		}
	}
	if p := l.numbered(1); !p.exec("exit") {
		t.Error("a number that is left was refused")
	}
}
