package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/web/apitype"
)

// starts measures from the request to the prompt. The client library is what the browser does as well; a whole `sallyport shell` is
// compared with a whole `ssh localhost`, since both begin with a program.
func starts(b *bench) ([]row, error) {
	sides, err := b.sides()
	if err != nil {
		return nil, err
	}
	d := b.demos[strict]
	c, err := d.client()
	if err != nil {
		return nil, err
	}
	var inside, cli, ssh samples
	for range b.rounds(20) {
		s, err := openShell(c)
		if err != nil {
			return nil, err
		}
		inside.add(s.prompt)
		s.end()
		for side, into := range map[int]*samples{sideStrict: &cli, sideSSH: &ssh} {
			cmd := sides[side]("bash", "--norc", "--noprofile", "-i")
			if side == sideSSH {
				cmd = b.sshd.ssh("-tt", "target", "bash --norc --noprofile -i")
			}
			began := time.Now()
			t, err := openTerm(cmd)
			if err != nil {
				return nil, err
			}
			if err := t.until("bash-"); err != nil {
				return nil, err
			}
			into.add(time.Since(began))
			t.close()
		}
		if err := b.disk.sync(5); err != nil {
			return nil, err
		}
		time.Sleep(time.Second) // a device takes two sessions a second for ever
	}
	in, sp, os := inside.p50(), cli.p50(), ssh.p50()
	return []row{
		{"Session start, request to prompt, strict", "p50 <= 15 ms", fmt.Sprintf("%s (p95 %s)", ms(in), ms(inside.at(0.95))), "`ssh localhost` " + ms(os), ratio(float64(in), float64(os)), met(in <= 15*time.Millisecond)},
		{"The same, a whole `sallyport shell` beside a whole `ssh`", "-", fmt.Sprintf("%s (p95 %s)", ms(sp), ms(cli.at(0.95))), "`ssh localhost` " + ms(os), ratio(float64(sp), float64(os)), ""},
	}, nil
}

// shell is a session that the client library holds.
type shell struct {
	t      *client.Terminal
	prompt time.Duration
	done   chan struct{}
	err    error // how it broke off; to be read when it is done
}

// openShell opens a shell on press-1 and returns at its first output.
func openShell(c *client.Client) (*shell, error) { return openShellOn(c, "press-1") }

func openShellOn(c *client.Client, device string) (*shell, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	ticket, err := c.Open(ctx, apitype.SessionNew{Device: device, Front: "cli",
		Program: apitype.Program{PTY: true, Cols: 120, Rows: 40, Term: "xterm"}})
	if err != nil {
		return nil, err
	}
	t, err := c.Terminal(ctx, ticket)
	if err != nil {
		return nil, err
	}
	s := &shell{t: t, done: make(chan struct{})}
	first := &firstByte{at: make(chan time.Time, 1)}
	go func() {
		_, s.err = t.Run(first, io.Discard, func(string, string) {})
		close(s.done)
	}()
	select {
	case at := <-first.at:
		s.prompt = at.Sub(began)
		return s, nil
	case <-s.done:
		return nil, errors.Join(errors.New("the session ended before its prompt"), s.err)
	case <-ctx.Done():
		return nil, errors.New("no prompt came")
	}
}

func (s *shell) end() {
	s.t.Close()
	<-s.done
}

// firstByte tells when something was first written to it.
type firstByte struct {
	at   chan time.Time
	seen bool
}

func (f *firstByte) Write(p []byte) (int, error) {
	if !f.seen {
		f.seen = true
		f.at <- time.Now()
	}
	return len(p), nil
}
