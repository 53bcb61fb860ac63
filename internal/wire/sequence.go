package wire

import (
	"bytes"
	"errors"
	"fmt"
)

// Follows checks that p may be the next pass of a session that runs under before: for the same session, device, person
// and login, with another key, not of an earlier epoch, and not wider. The error says which of these is not so.
func (p *Pass) Follows(before *Pass) error {
	next, old := &p.Grant, &before.Grant
	switch {
	case next.Session != old.Session || next.Device != old.Device:
		return errors.New("it is for another session or device than the pass before")
	case next.Login != old.Login:
		return fmt.Errorf("it is for the login %q, and the pass before for %q", next.Login, old.Login)
	case !bytes.Equal(next.Subject.Pseudonym, old.Subject.Pseudonym) || next.Subject.Display != old.Subject.Display:
		return errors.New("it is for another person than the pass before")
	case bytes.Equal(p.Cert.Key.Marshal(), before.Cert.Key.Marshal()):
		return errors.New("it has the key of the pass before")
	case next.Epoch < old.Epoch:
		return errors.New("it is of an earlier epoch than the pass before")
	}
	return p.noWider(before)
}

// noWider checks that p permits nothing that old does not. A limit of 0 means no limit, which is the loosest.
func (p *Pass) noWider(old *Pass) error {
	g, before := &p.Grant, &old.Grant
	looser := func(next, before uint64) bool { return before > 0 && (next == 0 || next > before) }
	switch {
	case !p.Scope.Within(old.Scope):
		return errors.New("it permits an action that the pass before does not")
	case looser(g.IdleS, before.IdleS) || looser(g.RecordBytes, before.RecordBytes) ||
		looser(g.MaxConcurrent, before.MaxConcurrent):
		return errors.New("it has a looser limit than the pass before")
	case before.Attended && !g.Attended || before.Emergency && !g.Emergency:
		return errors.New("it drops a mark of the pass before")
	}
	return nil
}

// Stricter gives the stricter of two limits of a pass. 0 means no limit.
func Stricter(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
