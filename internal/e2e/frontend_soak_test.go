//go:build soak

package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestSoakAnIdleShellThroughEachProxy leaves a shell alone for longer than any usual timeout of a proxy, and the
// device's control line too.
func TestSoakAnIdleShellThroughEachProxy(t *testing.T) {
	behindEachFrontend(t, func(t *testing.T, p *plant) {
		p.idles(t, 190*time.Second)
		if n := strings.Count(p.agent.Output(), "msg=online"); n != 1 {
			t.Errorf("the control line came up %d times, want once\n%s", n, p.agent.Output())
		}
	})
}

// cutAfter30s are the idle timeouts of the examples, reduced to 30 s.
var cutAfter30s = map[string][]string{
	"nginx": {"proxy_read_timeout 1h", "proxy_read_timeout 30s", "proxy_send_timeout 1h", "proxy_send_timeout 30s",
		"send_timeout       1h", "send_timeout 30s"},
	"haproxy": {"timeout tunnel       1h", "timeout tunnel 30s"},
}

// TestSoakAnIdleShellThroughProxiesThatCutAfter30s: the keepalives of a terminal and of its session line come sooner. A
// control line sends one at most every 30 s, so such a proxy may cut it. That ends no session.
func TestSoakAnIdleShellThroughProxiesThatCutAfter30s(t *testing.T) {
	for kind, pairs := range cutAfter30s {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, func(p *plant) { p.BehindFrontend(kind, pairs...) })
			p.idles(t, 100*time.Second)
			t.Logf("the control line came up %d times", strings.Count(p.agent.Output(), "msg=online"))
		})
	}
}

// idles leaves a shell without a keystroke for a time, and checks that it still runs.
func (p *plant) idles(t *testing.T, idle time.Duration) {
	in, out := io.Pipe()
	cmd := p.tess.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo begun; read line; echo got $line")
	var said screen
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said.wait(t, "begun")
	time.Sleep(idle)
	fmt.Fprintln(out, "a keystroke")
	said.wait(t, "got a keystroke")
	out.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.text())
	}
}
