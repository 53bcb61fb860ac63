package gateway

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// place counts one session against the limits, from the moment it is requested.
type place struct {
	person id.Principal
	device id.Device
}

func placeOf(a *Ask) place { return place{a.Person.ID, a.Device} }

// reserve counts a requested session against the limits of its person and its device, or refuses it. The session keeps
// its place while it waits to be opened, while it opens, and until its record is closed. Count and reservation are one
// step under the lock. Otherwise several sessions that are requested at once would all find the last place free.
func (b *Broker) reserve(sid id.Session, a *Ask) *errkind.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine, there := b.taken(placeOf(a))
	switch {
	case b.cfg.PerPerson > 0 && mine >= b.cfg.PerPerson:
		return overLimit("You have", mine, "one person", b.cfg.PerPerson, "--mine")
	case b.cfg.PerDevice > 0 && there >= b.cfg.PerDevice:
		return overLimit(fmt.Sprintf("%s has", a.Device), there, "one device", b.cfg.PerDevice, "--device "+string(a.Device))
	}
	b.deciding[sid] = placeOf(a)
	return nil
}

// overLimit is a count, not a decision of the policy: the same request is allowed once a session has ended.
func overLimit(who string, n int, whose string, limit int, list string) *errkind.Error {
	what := "sessions"
	if n == 1 {
		what = "session"
	}
	return errkind.New(errkind.TooMany, fmt.Sprintf("%s %d live %s, counting those being opened. The limit for %s is %d.",
		who, n, what, whose, limit)).
		WithHint(fmt.Sprintf("End one, or wait until one has ended. `sallyport sessions list --state live %s` lists them "+
						"and `sallyport sessions end ID` ends one.", list)).
		WithWait(30 * time.Second) // each try is an entry of the log, so a client must not retry at once
}

// unreserve gives up the place of a session that was refused. That of an allowed session has moved to b.asked.
func (b *Broker) unreserve(sid id.Session) {
	b.mu.Lock()
	delete(b.deciding, sid)
	b.mu.Unlock()
}

// taken counts the places of one person and on one device. The caller holds b.mu.
func (b *Broker) taken(of place) (mine, there int) {
	count := func(p place) {
		if p.person == of.person {
			mine++
		}
		if p.device == of.device {
			there++
		}
	}
	for _, p := range b.deciding {
		count(p)
	}
	now := b.cfg.Now()
	for _, a := range b.asked {
		if !now.After(a.until) {
			count(placeOf(&a.ask))
		}
	}
	for _, s := range b.live {
		count(placeOf(&s.ask))
	}
	return mine, there
}
