package rendezvous

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// note remembers that a device came, went or changed; writePresence stores it. The caller holds r.mu, so what is stored
// last is what was true last.
func (r *Registry) note(l *line, connected bool) {
	l.mu.Lock()
	p := store.Presence{At: r.cfg.Now().UTC(), Connected: connected, Addr: l.addr, Node: r.cfg.Node, Boot: l.boot, Agent: l.agent, Protocol: l.version, Tunnel: l.tunnel,
		Frozen: l.frozen, ClockSkew: l.skew, Epoch: l.epoch, LogSize: l.size}
	l.mu.Unlock()
	if connected {
		p.At, r.met[l.fp] = l.since, true
		delete(r.outdated, l.fp)
	}
	r.changed[l.fp] = p
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Between two writes of presence: what changes meanwhile is written together.
const (
	presencePause = 100 * time.Millisecond
	presenceRetry = time.Second // after one that failed
)

// writePresence stores what has changed, everything that waits in one transaction: one device at once, a storm of them in a
// few. Rows are for showing and for the broker's first look; whether a line is up is known here. So a write that fails is
// tried again and holds up nobody.
func (r *Registry) writePresence(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-r.kick:
		case <-ctx.Done():
			continue
		}
		pause := presencePause
		if !r.storePresence(ctx) {
			pause = presenceRetry
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	r.storePresence(context.WithoutCancel(ctx))
}

func (r *Registry) storePresence(ctx context.Context) bool {
	r.mu.Lock()
	all := r.changed
	r.changed = map[[32]byte]store.Presence{}
	r.mu.Unlock()
	if len(all) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := r.cfg.Store.SetPresences(ctx, all)
	if err == nil {
		r.tellOnline(ctx, all)
		return true
	}
	r.cfg.Log.Warn("who is online could not be stored", slog.Int("devices", len(all)), slog.Any("error", err))
	r.mu.Lock()
	defer r.mu.Unlock()
	for fp, p := range all {
		if _, newer := r.changed[fp]; !newer {
			r.changed[fp] = p
		}
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
	return false
}

func (r *Registry) tellOnline(ctx context.Context, all map[[32]byte]store.Presence) {
	var online []wire.Hash
	for fp, p := range all {
		if p.Connected {
			online = append(online, fp)
		}
	}
	if r.cfg.Online != nil && len(online) > 0 {
		r.cfg.Online(ctx, online)
	}
}

// Met reports whether a device has had a control line since this process started. The row in the database does not say
// which process wrote it, and may not be written yet.
func (r *Registry) Met(fp wire.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.met[fp]
}

// Online reports whether a control line of the device is up here.
func (r *Registry) Online(fp wire.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[fp]
	return d != nil && len(d.lines) > 0
}

// Lines is how many devices are here, with a control line or a session.
func (r *Registry) Lines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.devices)
}
