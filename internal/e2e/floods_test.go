package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestStalledFloodsAreBounded is the short form of TestAHundredStalledFloods.
func TestStalledFloodsAreBounded(t *testing.T) { stalledFloods(t, 20, 50e6) }

// stalledFloods opens sessions whose devices print without end and whose clients read nothing, and bounds by how many
// bytes the gateway's resident memory has grown when the floods stand. The limits on live sessions are lifted for it.
func stalledFloods(t *testing.T, n, most int) {
	d := sized(t, map[string]int64{"per_person": 1000, "per_device": 1000}, nil)
	c, err := client.New(client.Options{Gateway: d.URL, Bearer: d.Token("technician")})
	if err != nil {
		t.Fatal(err)
	}
	before := memoryOf(t, d.GatewayPID, "VmRSS")
	var all sync.WaitGroup
	for range n {
		all.Go(func() { stall(t, c) })
	}
	all.Wait()
	settled(t, d)
	rss := memoryOf(t, d.GatewayPID, "VmRSS")
	for end := time.Now().Add(time.Minute); rss-before > most && time.Now().Before(end); { // until it is collected
		time.Sleep(100 * time.Millisecond)
		rss = memoryOf(t, d.GatewayPID, "VmRSS")
	}
	t.Logf("%d stalled floods: resident memory rose from %.1f MB to %.1f MB, %.2f MB for each; %.1f MB at most before",
		n, float64(before)/1e6, float64(rss)/1e6, float64(rss-before)/1e6/float64(n),
		float64(memoryOf(t, d.GatewayPID, "VmHWM"))/1e6)
	if rss-before > most {
		t.Errorf("the gateway's memory rose by %.1f MB, want at most %.1f MB", float64(rss-before)/1e6, float64(most)/1e6)
	}
}

// stall opens a session that floods, and never reads. A device lets sessions start at a bounded rate, so one that is
// refused for that is asked for again.
func stall(t *testing.T, c *client.Client) {
	var last error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		ticket, err := c.Open(t.Context(), apitype.SessionNew{
			Device:  "press-1",
			Program: apitype.Program{Argv: []string{"cat", "/dev/urandom"}},
			Front:   "cli",
		})
		if err == nil {
			var term *client.Terminal
			if term, err = c.Terminal(t.Context(), ticket); err == nil {
				t.Cleanup(func() { term.Close() })
				return
			}
		}
		last = err
	}
	t.Errorf("a session was not opened: %v", last)
}

// settled waits until the floods stand: the gateway has used next to no processor time for two seconds.
func settled(t *testing.T, d *testenv.Demo) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		was := ticks(t, d.GatewayPID)
		time.Sleep(2 * time.Second)
		if ticks(t, d.GatewayPID)-was < 40 { // of 10 ms
			return
		}
	}
	t.Fatal("the floods do not stand")
}

// ticks is the processor time of a process in ticks of 10 ms.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(raw)[strings.LastIndex(string(raw), ")")+1:])
	var user, system int
	fmt.Sscan(f[11], &user)
	fmt.Sscan(f[12], &system)
	return user + system
}

// memoryOf gives a line of a process's status in bytes.
func memoryOf(t *testing.T, pid int, name string) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var kb int
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			fmt.Sscan(rest, &kb)
			return kb << 10
		}
	}
	t.Fatalf("process %d has no %s", pid, name)
	return 0
}
