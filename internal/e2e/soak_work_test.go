//go:build soak

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/creack/pty"
)

// every calls f at an even pace until the soak is over.
func every(ctx context.Context, pace time.Duration, f func(n int)) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(n)
		}
	}
}

// types is one person at a terminal for the whole soak, who types a line each second and reads the output.
func (s *soak) types(ctx context.Context, i int) {
	cmd := s.technician(i).Command(context.Background(), "shell", "-t", device(i))
	cmd.Env = append(cmd.Env, "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer tty.Close()
	shown, read := &count{first: func() { s.live.Add(1) }}, make(chan struct{})
	go func() { defer close(read); io.Copy(shown, tty) }() // a terminal ends with an error
	every(ctx, time.Second, func(n int) {
		if _, err := fmt.Fprintf(tty, "echo an''swer %d of device %d\n", n, i); err != nil {
			s.t.Errorf("typing on %s after %d lines: %v", device(i), n, err)
			return
		}
		s.typed.Add(1)
	})
	io.WriteString(tty, "exit 7\n")
	cmd.Wait()
	<-read
	if status := cmd.ProcessState.ExitCode(); status != 7 || shown.answers == 0 {
		s.t.Errorf("the session on %s: got status %d and %d answers shown, want status 7", device(i), status,
			shown.answers)
	}
}

// count counts the answers to what was typed; first is called at the first one.
type count struct {
	answers int
	first   func()
}

func (c *count) Write(p []byte) (int, error) {
	if n := bytes.Count(p, []byte("answer ")); n > 0 { // the echo of what is typed has two quotes in it
		if c.answers == 0 {
			c.first()
		}
		c.answers += n
	}
	return len(p), nil
}

// churns opens a short session each second, on one device after the other.
func (s *soak) churns(ctx context.Context) {
	every(ctx, time.Second, func(n int) {
		if got := s.technician(n).Run("shell", device(n), "--", "echo", "out"); got.Out != "out\n" || got.Status != 0 {
			s.t.Errorf("short session %d: got %+v", n, got)
			return
		}
		s.churned.Add(1)
	})
}

// officers list, verify and replay a session that has ended.
func (s *soak) officers(ctx context.Context) {
	every(ctx, 5*time.Second, func(n int) {
		var rows []struct{ ID, State string }
		listed := s.officer.Run("sessions", "list", "--json")
		if err := json.Unmarshal([]byte(listed.Out), &rows); err != nil {
			s.t.Errorf("sessions list: %v: %+v", err, listed)
			return
		}
		for _, r := range rows {
			if r.State != "closed" {
				continue
			}
			for _, look := range [][]string{{"sessions", "verify", r.ID},
				{"sessions", "replay", "--transcript", r.ID}} {
				if got := s.officer.Run(look...); got.Status != 0 {
					s.t.Errorf("%v: %+v", look, got)
				}
			}
			s.looked.Add(1)
			return
		}
	})
}

// policies applies new versions of the policy with the same rights, so that no session is cut.
func (s *soak) policies(ctx context.Context) {
	raw, err := os.ReadFile(s.Path("etc", "policy.toml"))
	if err != nil {
		s.t.Error(err)
		return
	}
	file := s.Path("etc", "next.toml")
	every(ctx, 20*time.Second, func(n int) {
		next := strings.Replace(string(raw), `contact = "the test"`,
			fmt.Sprintf(`contact = "the test, version %d"`, n), 1)
		if err := os.WriteFile(file, []byte(next), 0o644); err != nil {
			s.t.Error(err)
			return
		}
		if got := s.admin.Run("policy", "apply", file, "--reason", "soak"); got.Status != 0 {
			s.t.Errorf("policy apply: %+v", got)
			return
		}
		s.applied.Add(1)
	})
}
