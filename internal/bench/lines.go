package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

// pingEvery is the interval at which an agent pings.
const pingEvery = 30 * time.Second

// fleetGateway is `sallyport serve` with TLS and a fleet in its database.
type fleetGateway struct {
	pid   int
	stats string
	host  string
	noise wire.Hash
	roots *x509.CertPool
	fleet []*machineKeys
}

// lines measures what idle devices cost: real control lines, TLS and Noise, against a real gateway process.
func lines(b *bench) ([]row, error) {
	count := 10_000
	if b.quick {
		count = 2_000
	}
	g, err := b.serve(count)
	if err != nil {
		return nil, err
	}
	if err := g.connect(g.fleet[:200]); err != nil { // what is made once is made now
		return nil, err
	}
	g.hangUp(g.fleet[:200])
	before, err := memory(g.pid, g.stats)
	if err != nil {
		return nil, err
	}
	if err := g.bringUp(); err != nil {
		return nil, err
	}
	if _, err := g.pings(pingEvery); err != nil { // one round, after which memory is what it stays
		return nil, err
	}
	after, err := memory(g.pid, g.stats)
	if err != nil {
		return nil, err
	}
	least := rollup(g.pid, "Rss")
	used, err := g.pings(pingEvery)
	if err != nil {
		return nil, err
	}
	g.hangUp(g.fleet)
	each := func(a, b int) float64 { return float64(a-b) / float64(count) }
	rss, routines, share := each(after.RSS, before.RSS), each(after.Goroutines, before.Goroutines), used.Seconds()/pingEvery.Seconds()
	rows := []row{
		{fmt.Sprintf("Idle device, gateway RSS, %d control lines (TLS, Noise)", count), "<= 22 KB natural, one goroutine",
			fmt.Sprintf("%.1f KB (%.1f KB of heap and stacks after a collection, stacks %.1f KB of it), %.2f goroutines", rss/1e3, each(after.Least, before.Least)/1e3, each(after.Stacks, before.Stacks)/1e3, routines),
			fmt.Sprintf("RSS before %.0f MB, with all %.0f MB", mb(before.RSS), mb(max(after.RSS, least))), "", met(rss <= 22e3 && routines < 1.05)},
		{fmt.Sprintf("Keepalives, %d lines at 30 s", count), "<= 5 % of a core", fmt.Sprintf("%.1f %%", 100*share), "-", "", met(share <= 0.05*float64(count)/10_000)},
	}
	more, err := g.reconnects(b)
	return append(rows, more...), err
}

// reconnects compares whole control lines, up to the first status, with TLS handshakes alone.
func (g *fleetGateway) reconnects(b *bench) ([]row, error) {
	peer, err := b.tlsPeer(filepath.Join(b.dir, "fleet", "tls"))
	if err != nil {
		return nil, err
	}
	part := g.fleet[:2_000]
	var full, bare []float64
	for range b.rounds(6) {
		for _, side := range []struct {
			pid  int
			dial func([]*machineKeys) error
			into *[]float64
		}{{g.pid, g.connect, &full}, {peer.pid, peer.connect, &bare}} {
			began, err := cpu(side.pid)
			if err != nil {
				return nil, err
			}
			if err := side.dial(part); err != nil {
				return nil, err
			}
			ended, err := cpu(side.pid)
			if err != nil {
				return nil, err
			}
			*side.into = append(*side.into, float64(len(part))/(ended-began).Seconds())
			g.hangUp(part)
		}
	}
	f, t := median(full), median(bare)
	return []row{{"Authenticated reconnects a second a core (gateway's processor time)", ">= 2,200", fmt.Sprintf("%.0f", f), fmt.Sprintf("TLS handshakes alone %.0f", t), ratio(f, t), met(f >= 2200)}}, nil
}

// serve makes a gateway with count devices in its database and starts it.
func (b *bench) serve(count int) (*fleetGateway, error) {
	dir := filepath.Join(b.dir, "fleet")
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &fleetGateway{host: fmt.Sprintf("localhost:%d", port), stats: dir + ".stats"}
	key, err := wire.NewNoiseKey()
	if err != nil {
		return nil, err
	}
	g.noise = key.Public
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(b.dir, "fleet.toml")
	for path, text := range map[string]string{
		filepath.Join(dir, "keys", "noise.key"): hex.EncodeToString(append(key.Private[:], key.Public[:]...)) + "\n",
		// A gateway that has devices and lacks one of its keys has lost its data, and does not start.
		filepath.Join(dir, "keys", "archive.txt"): reader.String() + "\n",
		filepath.Join(dir, "keys", "record.key"):  hex.EncodeToString(make([]byte, ed25519.SeedSize)) + "\n",
		filepath.Join(b.dir, "fleet.pub"):         reader.Recipient().String() + "\n",
		filepath.Join(b.dir, "fleet.policy"):      fleetPolicy,
		config:                                    fmt.Sprintf(fleetConfig, g.host, dir, port, b.dir),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if g.fleet, err = enrolled(filepath.Join(dir, "gateway.db"), count); err != nil {
		return nil, err
	}
	return g, g.start(b, dir, config)
}

func (g *fleetGateway) start(b *bench, dir, config string) error {
	program, err := b.program(strict)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "serve", "--config", config)
	cmd.Env = append(os.Environ(), "SALLYPORT_BENCH_STATS="+g.stats)
	if cmd.Stderr, err = os.Create(dir + ".out"); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.stops = append(b.stops, func() { stop(cmd, 20*time.Second) })
	g.pid = cmd.Process.Pid
	err = within(30*time.Second, func() error {
		ca, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
		if err != nil {
			return err
		}
		g.roots = x509.NewCertPool()
		g.roots.AppendCertsFromPEM(ca)
		err = g.connect(g.fleet[:1])
		g.hangUp(g.fleet[:1])
		return err
	})
	if err != nil {
		out, _ := os.ReadFile(dir + ".out")
		return fmt.Errorf("sallyport serve: %w\n%s", err, out[max(0, len(out)-4000):])
	}
	return nil
}

// enrolled writes devices into a database as enrolment leaves them.
func enrolled(path string, count int) ([]*machineKeys, error) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var fleet []*machineKeys
	for i := range count {
		m, host, err := newMachine()
		if err != nil {
			return nil, err
		}
		d := store.Device{FP: m.fp, Name: id.Device(fmt.Sprintf("press-%d", i)), State: store.Waiting, HostKey: host, NoiseKey: m.noise.Public, EnrolledAt: time.Now()}
		if err := db.AddDevice(ctx, d); err != nil {
			return nil, err
		}
		fleet = append(fleet, m)
	}
	return fleet, nil
}

// connect brings lines up, 64 at a time, each as far as the answer to its first ping.
func (g *fleetGateway) connect(part []*machineKeys) error {
	return eachOf(part, func(m *machineKeys) error { return m.connect(g) })
}

// bringUp connects the whole fleet. The lines that are up ping meanwhile, as agents do: on a slow machine the first
// would otherwise be silent for longer than the gateway allows before the last is up.
func (g *fleetGateway) bringUp() error {
	const part = 500
	last := time.Now()
	for i := 0; i < len(g.fleet); i += part {
		up := min(i+part, len(g.fleet))
		if err := g.connect(g.fleet[i:up]); err != nil {
			return err
		}
		if up < len(g.fleet) && time.Since(last) < pingEvery/2 {
			continue
		}
		if err := eachOf(g.fleet[:up], (*machineKeys).ping); err != nil {
			return err
		}
		last = time.Now()
	}
	return nil
}

func eachOf(part []*machineKeys, f func(*machineKeys) error) error {
	work := make(chan *machineKeys)
	errs := make(chan error, 64)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			var first error
			for m := range work {
				if err := f(m); err != nil && first == nil {
					first = err
				}
			}
			errs <- first
		})
	}
	for _, m := range part {
		work <- m
	}
	close(work)
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *fleetGateway) hangUp(part []*machineKeys) {
	for _, m := range part {
		m.hangUp()
	}
	time.Sleep(2 * time.Second) // until the gateway has noticed
}

// pings has every line ping once in the given time, evenly, and gives the gateway's processor time.
func (g *fleetGateway) pings(over time.Duration) (time.Duration, error) {
	began, err := cpu(g.pid)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	for i, m := range g.fleet {
		time.Sleep(time.Until(start.Add(over * time.Duration(i) / time.Duration(len(g.fleet)))))
		if err := m.ping(); err != nil {
			return 0, err
		}
	}
	time.Sleep(time.Until(start.Add(over)))
	ended, err := cpu(g.pid)
	return ended - began, err
}

// config of the TLS clients here.
func clientTLS(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}
}

var fleetConfig = strings.TrimSpace(`
[site]
url = "https://%[1]s"
data_dir = "%[2]s"
[listen]
https = "127.0.0.1:%[3]d"
[tls]
mode = "self"
[[identity]]
name = "own"
builtin = true
groups = { administrators = "administrators" }
[policy]
files = ["%[4]s/fleet.policy"]
[recording]
readers_files = ["%[4]s/fleet.pub"]
unsealers_files = ["%[4]s/fleet.pub"]
`)

const fleetPolicy = `
format  = 1
name    = "fleet"
contact = "whoever measures"
groups  = ["administrators"]
[duties]
administer = ["administrators"]
`
