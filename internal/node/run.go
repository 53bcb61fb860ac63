package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway"
)

// endTime bounds what is left to do once nothing new begins.
const endTime = 10 * time.Second

// Run serves on f until ctx ends, then drains: no new sessions, those that run are told and may finish, what is left is
// ended with its reason, and then the lines close.
func (g *Gateway) Run(ctx context.Context, f *Front) error {
	defer g.close()
	var parts sync.WaitGroup
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	begin := func(name string, part func(context.Context) error) {
		parts.Go(func() {
			if err := part(run); err != nil && run.Err() == nil {
				f.failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	begin("control lines", g.lines.Run)
	begin("memory", func(ctx context.Context) error { return lean(ctx, g.lines.Lines, g.broker.LiveSessions) })
	begin("sessions", g.broker.Run)
	begin("requests", func(ctx context.Context) error { g.desk.Run(ctx); return nil })
	begin("notifications", g.notifications.Run)
	begin("sign-in", g.login.Run)
	begin("identity providers", g.providers.Run)
	if g.cert != nil {
		begin("certificate", g.cert.watch)
	}
	if g.idp != nil {
		begin("built-in provider", g.idp.Run)
	}
	if g.own != nil {
		begin("copies of the log", func(ctx context.Context) error { return watchCopy(ctx, g.own, g.opt.Log) })
	}
	if g.apart != nil {
		begin("logout tokens", func(ctx context.Context) error { return g.apart.fetchLogouts(ctx, g.handler) })
	}
	f.serve(g.handler)
	var err error
	select {
	case <-ctx.Done():
		g.finishWork(context.WithoutCancel(ctx))
	case err = <-f.failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	g.broker.Drain(end)
	g.waitForDoors(end)
	stop()
	f.shutdown(end)
	parts.Wait()
	g.opt.Log.Info("stopped")
	return err
}

// finishWork refuses what is new and gives what runs its time.
func (g *Gateway) finishWork(ctx context.Context) {
	g.draining.Store(true)
	most := time.Duration(g.opt.Config.Site.DrainAtMost)
	text := fmt.Sprintf("the gateway restarts in %s; what runs then is ended", most.Round(time.Second))
	if most == 0 {
		text = "the gateway restarts"
	}
	g.broker.Quiet(ctx, text)
	live := g.broker.Live()
	g.opt.Log.Info("draining", slog.Int("sessions", len(live)), slog.String("at_most", most.String()))
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for len(live) > 0 {
		select {
		case <-ctx.Done():
			g.tellLeft(live)
			return
		case <-tick.C:
			live = g.broker.Live()
		}
	}
}

func (g *Gateway) tellLeft(live []gateway.Live) {
	for _, s := range live {
		g.opt.Log.Warn("a session is ended by the restart", slog.String("session", s.Session.String()), slog.String("device", string(s.Device)))
	}
}

// waitForDoors lets the terminal's connections say their last words: the session's end must reach the technician.
func (g *Gateway) waitForDoors(ctx context.Context) {
	done := make(chan struct{})
	go func() { g.door.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
