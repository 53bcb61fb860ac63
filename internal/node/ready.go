package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// condition is one thing that a new session needs.
type condition struct {
	name string
	look func(context.Context) error
}

func (g *Gateway) conditions() []condition {
	return []condition{
		{"gateway", func(context.Context) error {
			if g.draining.Load() {
				return errkind.New(errkind.Unavailable, "it is about to stop and starts no new sessions")
			}
			return nil
		}},
		{"database", g.DB.Ping},
		{"recorder", func(context.Context) error { return g.record.Ready() }},
		{"signer", func(ctx context.Context) error { _, err := g.Signer.Head(ctx); return err }},
		{"log", func(context.Context) error {
			if g.own == nil {
				return nil
			}
			return g.own.Ready()
		}},
		{"log", func(context.Context) error {
			if r, ok := g.Signer.(interface{ Ready() error }); ok { // of this process; another one says so when it is asked to append
				return r.Ready()
			}
			return nil
		}},
	}
}

// unready names what keeps new sessions from starting, one line each.
func (g *Gateway) unready(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var out []string
	for _, c := range g.conditions() {
		err := c.look(ctx)
		if err == nil {
			continue
		}
		text, _, reference := errkind.ForPeople(err)
		if reference != "" {
			g.opt.Log.Error("not ready", slog.String("part", c.name), slog.String("reference", reference), slog.Any("error", err))
		}
		out = append(out, c.name+": "+text)
	}
	return out
}

// ready says whether new sessions can start, and if not, why.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	if why := g.unready(r.Context()); len(why) > 0 {
		http.Error(w, strings.Join(why, "\n"), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// Alive is for a watchdog: the process does its work when its database answers. What else is not ready is no reason to
// start the process again.
func (g *Gateway) Alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return errors.Join(ctx.Err(), g.DB.Ping(ctx))
}
