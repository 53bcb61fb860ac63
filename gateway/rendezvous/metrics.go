package rendezvous

import (
	"sync/atomic"
	"time"
)

type counters struct {
	handshakes, reconnects, refused, limited, enrolled, enrolRefused atomic.Uint64
	disputed, intercepted, delayed, unknown, malformed, pings        atomic.Uint64
	opens, opensRefused, ticketsWrong, ticketsFailed, sessions       atomic.Uint64
}

// Metrics are counts since the start; Connected, Opening and Sessions are of now.
type Metrics struct {
	Connected        int            // devices with a control line
	Agents           map[string]int // those, by the version that their agent names
	ClockSkew        time.Duration  // the most that one's own clock is off, by its amount
	Opening          int            // sessions that are being opened
	Sessions         int            // session lines
	Handshakes       uint64         // proven control lines
	Reconnects       uint64         // of those, lines of devices that were online before, also under an earlier process
	Refused          uint64         // handshakes that failed, of unknown or revoked devices too
	Outdated         int            // devices that were refused because of their agent's version, until they come back
	Limited          uint64         // sent away before a handshake
	Enrolled         uint64
	EnrolRefused     uint64
	Disputed         uint64 // two lines, one key; or a generation that nobody gave out
	Intercepted      uint64 // lines with something inside TLS
	Delayed          uint64 // messages read late because a device sent too many
	UnknownMessages  uint64
	Malformed        uint64
	Pings            uint64
	Opens            uint64 // sessions asked of devices
	OpensRefused     uint64 // by devices
	TicketsWrong     uint64 // session lines with a ticket that is not known, or used up
	TicketsFailed    uint64 // with a right ticket and without the enrolled host key
	SessionsAnswered uint64 // session lines that came up
}

// Metrics gives the counts.
func (r *Registry) Metrics() Metrics {
	c := &r.count
	m := Metrics{Handshakes: c.handshakes.Load(), Reconnects: c.reconnects.Load(), Refused: c.refused.Load(),
		Limited: c.limited.Load(), Enrolled: c.enrolled.Load(), EnrolRefused: c.enrolRefused.Load(),
		Disputed: c.disputed.Load(), Intercepted: c.intercepted.Load(), Delayed: c.delayed.Load(), UnknownMessages: c.unknown.Load(), Malformed: c.malformed.Load(),
		Pings: c.pings.Load(), Opens: c.opens.Load(), OpensRefused: c.opensRefused.Load(), TicketsWrong: c.ticketsWrong.Load(), TicketsFailed: c.ticketsFailed.Load(),
		SessionsAnswered: c.sessions.Load(), Agents: map[string]int{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.Opening, m.Outdated = len(r.calls), len(r.outdated)
	for _, d := range r.devices {
		if len(d.lines) > 0 {
			m.Connected++
			m.Agents[d.lines[0].agent]++
			m.ClockSkew = max(m.ClockSkew, d.lines[0].skew.Abs())
		}
		m.Sessions += len(d.sessions)
	}
	return m
}
