package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/web/apitype"
)

// far is the way there and back that the distance adds.
const far = 60 * time.Millisecond

// distances counts the round trips between gateway and device that a session start takes: how much longer it takes through a
// proxy that delays every byte, by how long the delay is. The demo speaks no TLS, which adds one (RFC 8446 section 2).
func distances(b *bench) ([]row, error) {
	d, err := b.demo(strict)
	if err != nil {
		return nil, err
	}
	p, err := newDelay()
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, func() { p.Close() })
	if err := d.distant(b, "far-1", "http://"+p.Addr().String()); err != nil {
		return nil, err
	}
	c, err := d.client()
	if err != nil {
		return nil, err
	}
	var near, distant samples
	for range b.rounds(10) {
		for wait, into := range map[time.Duration]*samples{0: &near, far / 2: &distant} {
			p.way.Store(int64(wait))
			s, err := openShellOn(c, "far-1")
			if err != nil {
				return nil, err
			}
			into.add(s.prompt)
			p.way.Store(0)
			s.end()
			time.Sleep(500 * time.Millisecond) // a device takes two sessions a second for ever
		}
	}
	trips := 1 + float64(distant.p50()-near.p50())/float64(far)
	return []row{{"Session start at a distance, round trips between gateway and device, TLS 1.3 counted in", "<= 11.5", fmt.Sprintf("%.1f", trips),
		fmt.Sprintf("%s at %s there and back; %s without", ms(distant.p50()), ms(far), ms(near.p50())), "", met(trips <= 11.5)}}, nil
}

// distant enrols one more device and runs its agent behind the proxy.
func (d *demo) distant(b *bench, name, proxy string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.New(client.Options{Gateway: d.url, Bearer: d.admin})
	if err != nil {
		return err
	}
	var near apitype.Device
	var code apitype.EnrollToken
	if err := c.Get(ctx, "/api/v1/devices/press-1", nil, &near); err != nil {
		return err
	}
	if err := c.Post(ctx, "/api/v1/enroll-tokens", apitype.EnrollTokenNew{Name: name, Site: near.Site, Labels: near.Labels}, &code); err != nil {
		return err
	}
	agent, state := filepath.Join(filepath.Dir(d.program), "sallyport-agent"), filepath.Join(b.dir, name)
	enroll := exec.CommandContext(ctx, agent, "enroll", code.Code, "--preset", "open", "--state", state, "--ephemeral", "--no-wait")
	if out, err := enroll.CombinedOutput(); err != nil {
		return fmt.Errorf("enrol %s: %w\n%s", name, err, out)
	}
	if err := c.Post(ctx, "/api/v1/devices/"+name+"/admit", apitype.Admit{}, &near); err != nil {
		return err
	}
	run := exec.Command(agent, "run", "--state", state, "--ephemeral", "--proxy", proxy, "--shell", "/bin/bash", "--home", "/")
	if run.Stderr, err = os.Create(state + ".out"); err != nil {
		return err
	}
	if err := run.Start(); err != nil {
		return err
	}
	b.stops = append(b.stops, func() { stop(run, 20*time.Second) })
	return within(patience, func() error {
		if err := c.Get(ctx, "/api/v1/devices/"+name, nil, &near); err != nil || near.Online {
			return err
		}
		return fmt.Errorf("%s does not come online", name)
	})
}

// delay is a proxy (RFC 9110 section 9.3.6) whose far side is away by so long one way. Bytes keep their order and their pace.
type delay struct {
	net.Listener
	way atomic.Int64
}

func newDelay() (*delay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &delay{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, nil
}

func (p *delay) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	time.Sleep(2 * time.Duration(p.way.Load())) // the far side's TCP handshake
	up, err := net.Dial("tcp", req.Host)
	if err != nil {
		return
	}
	defer up.Close()
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go p.carry(up, in)
	p.carry(c, up)
}

// carry passes on each piece when its time has come, while the next are read.
func (p *delay) carry(dst net.Conn, src io.Reader) {
	type piece struct {
		at time.Time
		b  []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 32<<10)
			n, err := src.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now().Add(time.Duration(p.way.Load())), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for x := range pieces {
		time.Sleep(time.Until(x.at))
		if _, err := dst.Write(x.b); err != nil {
			break
		}
	}
	dst.Close()
	for range pieces { // so that the reader ends
	}
}
