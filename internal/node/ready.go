package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// readyTime bounds an answer at /readyz: a load balancer treats a late answer as a failure.
const readyTime = 2 * time.Second

// condition is a requirement of new sessions.
type condition struct {
	name  string
	warns bool // a fault of it is only a warning: new sessions start
	look  func(context.Context) error

	mu      sync.Mutex // guards what follows
	running *look      // a look that has not returned; nil: none
	fault   string     // text of the unclassified fault that was logged last and still lasts; empty: none
	shown   string     // its text for people, with the reference of that log line
}

// look is one look at a condition. Several callers may wait for it.
type look struct {
	done chan struct{}
	err  error // once done is closed
}

// conditions are made once, so that callers share a hanging look and looks do not pile up.
func (g *Gateway) conditions() []*condition {
	return []*condition{
		{name: "gateway", look: func(context.Context) error {
			if g.draining.Load() {
				return errkind.New(errkind.Unavailable, "it is about to stop and starts no new sessions")
			}
			return nil
		}},
		{name: "database", look: g.DB.Ping},
		{name: "recorder", look: func(context.Context) error { return g.record.Ready() }},
		{name: "signer", look: func(ctx context.Context) error { _, err := g.Signer.Head(ctx); return err }},
		{name: "log", look: func(context.Context) error {
			if g.own == nil { // a separate signer reports this when it is asked to append
				return nil
			}
			return g.own.Ready()
		}},
		{name: "policy", warns: true, look: g.newestPolicy},
		{name: "stored policy", warns: true, look: func(context.Context) error { return g.rules.Ignored() }},
		{name: "notifications", warns: true, look: g.undelivered},
		{name: "agents", warns: true, look: func(context.Context) error { return outdatedAgents(g.lines.Metrics().Outdated) }},
	}
}

// outdatedAgents reports devices that cannot connect before their agents are updated.
func outdatedAgents(n int) error {
	if n == 0 {
		return nil
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("devices that are refused, because their agents speak another "+
		"version of the control protocol than this gateway: %d", n)).WithHint(wire.UpdateAgent)
}

// newestPolicy reports a policy that is older than the one that the log names last: it may grant rights that were
// withdrawn. A signer that does not answer is reported by its own condition.
func (g *Gateway) newestPolicy(ctx context.Context) error {
	p, err := g.Signer.CurrentPolicy(ctx)
	if err != nil || p.Newest == 0 {
		return nil
	}
	return errkind.New(errkind.Conflict, fmt.Sprintf("version %d is in force, and the log names version %d: "+
		"the state that was restored is older", p.Version, p.Newest))
}

// within gives the result of a look, or an error when ctx ends first. A database that is locked, or a disk that hangs,
// does not return because a context ends: the look goes on and the next caller waits for the same one.
func (c *condition) within(ctx context.Context, most time.Duration) error {
	c.mu.Lock()
	l := c.running
	if l == nil {
		l = &look{done: make(chan struct{})}
		c.running = l
		go c.run(context.WithoutCancel(ctx), l)
	}
	c.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return errkind.New(errkind.Unavailable, fmt.Sprintf("does not answer within %v", most))
	}
}

func (c *condition) run(ctx context.Context, l *look) {
	ctx, cancel := context.WithTimeout(ctx, 5*readyTime)
	defer cancel()
	l.err = c.look(ctx)
	c.mu.Lock()
	c.running = nil
	c.mu.Unlock()
	close(l.done)
}

// unready names what keeps new sessions from starting, and what is to be fixed although they start: one line each,
// within readyTime.
func (g *Gateway) unready(ctx context.Context) (why, warn []string) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	lines := make([]string, len(g.needs))
	var all sync.WaitGroup
	for i, c := range g.needs {
		all.Go(func() {
			if text := c.say(c.within(ctx, readyTime), g.opt.Log); text != "" {
				lines[i] = c.name + ": " + text
			}
		})
	}
	all.Wait()
	for i, l := range lines {
		switch {
		case l == "":
		case g.needs[i].warns:
			warn = append(warn, warning+l)
		default:
			why = append(why, l)
		}
	}
	return why, warn
}

// say gives a look's result for people; empty: ready. An unclassified fault is logged when it begins, changes or ends,
// not for each of the requests that a load balancer sends meanwhile.
func (c *condition) say(err error, log *slog.Logger) string {
	var text, reference string
	if err != nil {
		if text, _, reference = errkind.ForPeople(err); reference == "" {
			return text
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && c.fault != "":
		log.Info("ready again", slog.String("part", c.name))
		c.fault, c.shown = "", ""
	case err != nil && c.fault != err.Error():
		log.Error("not ready", slog.String("part", c.name), slog.String("reference", reference), slog.Any("error", err))
		c.fault, c.shown = err.Error(), text
	}
	return c.shown
}

// ready answers whether new sessions can start, and if not, why. Warnings follow in either case.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	why, warn := g.unready(r.Context())
	warn = append(warn, g.warnings()...)
	if len(why) > 0 {
		http.Error(w, strings.Join(append(why, warn...), "\n"), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, strings.Join(append([]string{"ready"}, warn...), "\n"))
}

// Alive is for a watchdog: it returns nil if the database answers within five seconds. Other conditions do not count,
// because a restart of the process would not mend them.
func (g *Gateway) Alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return errors.Join(ctx.Err(), g.DB.Ping(ctx))
}
