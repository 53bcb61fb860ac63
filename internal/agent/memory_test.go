package agent_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAnIdleAgentIsSmall: it runs for years beside the machine's own work.
func TestAnIdleAgentIsSmall(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	time.Sleep(500 * time.Millisecond)
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(line, ":")
		var kb int
		if n, _ := fmt.Sscan(rest, &kb); n == 1 {
			sizes[name] = kb
		}
	}
	t.Logf("resident %d KB, of it anonymous %d KB", sizes["VmRSS"], sizes["RssAnon"])
	if sizes["VmRSS"] > 12<<10 || sizes["RssAnon"] > 4<<10 {
		t.Errorf("%d KB resident, %d KB of it anonymous; want at most 12 and 4 MB", sizes["VmRSS"], sizes["RssAnon"])
	}
}
