package node

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
)

// How often providers are asked, and how long one may take to answer.
const (
	providersEvery = 20 * time.Second
	failingEvery   = 2 * time.Second // while one does not answer, so that it is not reported long after it is back
	providerTime   = 5 * time.Second
)

// providers asks each identity provider again and again whether it answers. Callers read the last result, so no caller
// waits for a provider, and no number of callers asks it more often.
type providers struct {
	set  *oidcauth.Set
	log  *slog.Logger
	wait time.Duration // for one answer

	mu   sync.Mutex       // guards what follows
	last map[string]error // by the provider's name; missing: not asked yet
}

func newProviders(set *oidcauth.Set, log *slog.Logger) *providers {
	return &providers{set: set, log: log, wait: providerTime, last: map[string]error{}}
}

// Run asks until ctx ends.
func (p *providers) Run(ctx context.Context) error {
	for {
		p.ask(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(p.pause()):
		}
	}
}

// pause is the time until providers are asked again.
func (p *providers) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, err := range p.last {
		if err != nil {
			return failingEvery
		}
	}
	return providersEvery
}

// ask asks all providers at once: one that hangs does not delay the others' results.
func (p *providers) ask(ctx context.Context) {
	var asking sync.WaitGroup
	for _, one := range p.set.All() {
		asking.Go(func() {
			within, cancel := context.WithTimeout(ctx, p.wait)
			defer cancel()
			if err := one.Probe(within); ctx.Err() == nil {
				p.keep(one.Name(), err)
			}
		})
	}
	asking.Wait()
}

func (p *providers) keep(name string, err error) {
	p.mu.Lock()
	before := p.last[name]
	p.last[name] = err
	p.mu.Unlock()
	switch {
	case err != nil && before == nil:
		p.log.Warn("an identity provider does not answer", slog.String("provider", name), slog.Any("error", err))
	case err == nil && before != nil:
		p.log.Info("the identity provider answers again", slog.String("provider", name))
	}
}

// results gives the last result of each provider that was asked.
func (p *providers) results() map[string]error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.last)
}

// warnings gives the faults that an operator must fix although new sessions start: one line each, without paths.
func (g *Gateway) warnings() []string {
	var out []string
	if g.cert != nil {
		if _, err := g.cert.Served(); err != nil {
			text, _, _ := errkind.ForPeople(err)
			out = append(out, warning+"certificate: "+text+stillServed)
		}
	}
	results := g.providers.results()
	for _, i := range g.set.All() {
		if err := results[i.Name()]; err != nil {
			text, _, _ := errkind.ForPeople(err)
			out = append(out, warning+"identity "+i.Name()+": "+text)
		}
	}
	return out
}

// warning begins the lines of /readyz that do not make the gateway unready.
const warning = "warning: "

// stillServed ends the warning about a certificate.
const stillServed = "; the one loaded before is still served"
