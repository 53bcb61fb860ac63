package rendezvous

import (
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/sallyport/sallyport/internal/wire"
)

// An outdated agent is told to wait this many seconds, and up to versionMore longer: only an update helps it.
const (
	versionWait = 120
	versionMore = 180
)

// protocolOf gives the version that a line speaks.
func protocolOf(h *wire.Hello) int {
	if h.Speaks() {
		return wire.ControlVersion
	}
	return h.Newest()
}

// refuseVersion sends a proven device away whose agent speaks another version. Nothing is decided by a handshake alone,
// whose first message anybody can repeat: an old recorded one would otherwise mark a device that was updated since. A
// device that has a line here already is disputed, as by any second line.
func (r *Registry) refuseVersion(l *line) {
	first := r.noteVersion(l)
	l.close(wire.CloseVersion, fmt.Sprintf("this gateway needs control protocol %d: install its release of "+
		"sallyport-agent; retry-after=%d", wire.ControlVersion, versionWait+rand.IntN(versionMore)))
	if first != nil && first.answers(r.probe) {
		r.quarantine(l.fp, twoLines)
	}
}

// noteVersion stores the version of a device that was refused, unless the device has a line, which it gives.
func (r *Registry) noteVersion(l *line) (first *line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.devices[l.fp]; d != nil && len(d.lines) > 0 {
		return d.lines[0]
	}
	if !r.outdated[l.fp] { // it tries again every few minutes
		r.cfg.Log.Warn("a device was refused", slog.String("why", wire.OtherVersion(l.version)),
			slog.String("device", string(l.name)), slog.String("agent", l.agent), slog.String("hint", wire.UpdateAgent))
	}
	r.outdated[l.fp] = true
	r.note(l, false)
	return nil
}

// refuseJoin refuses to enrol an agent of another version, which could get no line. The join code is not used.
func (g *greeting) refuseJoin(h *wire.Hello, reply *wire.HelloReply) {
	g.refused = true
	g.r.count.enrolRefused.Add(1)
	g.r.cfg.Log.Info("a join code was refused", slog.String("why", wire.OtherVersion(h.Newest())),
		slog.String("addr", g.addr.String()))
	reply.Error = wire.OtherVersion(h.Newest()) + ". " + wire.UpdateAgent
}
