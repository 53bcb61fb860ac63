package sessionline

import (
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

// question notes the answers to its question.
type question struct{ answers []bool }

func (q *question) Reply(ok bool, _ []byte) error { q.answers = append(q.answers, ok); return nil }

func upto(n uint64) []byte { return ssh.Marshal(struct{ Bytes uint64 }{n}) }

func TestADeviceIsAnsweredWhenItsOutputWasTaken(t *testing.T) {
	var all taken
	var first, second, third, odd question
	all.ask(&first, true, upto(10))
	all.add(9)
	if len(first.answers) > 0 {
		t.Errorf("answered %v with a byte of the output not taken", first.answers)
	}
	all.add(1)
	all.ask(&second, true, upto(10))
	for i, q := range []question{first, second} {
		if !slices.Equal(q.answers, []bool{true}) {
			t.Errorf("question %d: got %v, want one answer that all was taken", i, q.answers)
		}
	}
	all.ask(&third, true, upto(1<<63))
	all.ask(&odd, true, []byte("short"))
	if !slices.Equal(third.answers, []bool{false}) || !slices.Equal(odd.answers, []bool{false}) {
		t.Errorf("got %v and %v, want that a second question ends the first, and that a malformed one is refused",
			third.answers, odd.answers)
	}
	all.ask(&third, false, upto(0))
	if len(third.answers) != 1 {
		t.Error("a request that wants no reply has one")
	}
}
