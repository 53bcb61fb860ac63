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
