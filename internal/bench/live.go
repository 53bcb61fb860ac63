package main

import (
	"fmt"
	"time"
)

// liveCount is how many sessions are open at once: what one device takes in a burst.
const liveCount = 40

// liveSessions measures what an open session costs the gateway, recorded and not, while it is used.
func liveSessions(b *bench) ([]row, error) {
	cost := map[string]usage{}
	for _, variant := range []string{unrecorded, strict} {
		d, err := b.demo(variant)
		if err != nil {
			return nil, err
		}
		if cost[variant], err = sessionCost(d); err != nil {
			return nil, fmt.Errorf("%s: %w", variant, err)
		}
	}
	rec, base := cost[strict], cost[unrecorded]
	show := func(u usage) string {
		return fmt.Sprintf("%.2f MB RSS (%.2f MB heap and stacks after a collection, %d goroutines)", mb(u.RSS), mb(u.Least), u.Goroutines)
	}
	return []row{{fmt.Sprintf("Live recorded session, gateway, %d open and typed into", liveCount), "<= 0.7 MB", show(rec), "unrecorded " + show(base),
		ratio(float64(rec.RSS), float64(base.RSS)), met(mb(rec.RSS) <= 0.7)}}, nil
}

func mb(n int) float64 { return float64(n) / 1e6 }

// sessionCost opens sessions and gives what one of them costs.
func sessionCost(d *demo) (usage, error) {
	c, err := d.client()
	if err != nil {
		return usage{}, err
	}
	time.Sleep(20 * time.Second) // until the device's burst is whole again
	before, err := memory(d.gateway, d.stats)
	if err != nil {
		return usage{}, err
	}
	var open []*shell
	defer func() {
		for _, s := range open {
			s.end()
		}
	}()
	for range liveCount {
		s, err := openShell(c)
		if err != nil {
			return usage{}, err
		}
		open = append(open, s)
	}
	for range 5 {
		for _, s := range open {
			if _, err := s.t.Write([]byte("ls -l /usr\r")); err != nil {
				return usage{}, err
			}
		}
		time.Sleep(time.Second)
	}
	after, err := memory(d.gateway, d.stats)
	each := func(a, b int) int { return (a - b) / liveCount }
	return usage{Goroutines: each(after.Goroutines, before.Goroutines), InUse: each(after.InUse, before.InUse), Least: each(after.Least, before.Least),
		RSS: each(after.RSS, before.RSS)}, err
}
