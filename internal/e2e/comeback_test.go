package e2e

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"
)

// A gateway that is restarted tells its devices when to come back, and one that is killed does not. Either way a device
// reconnects within seconds of the gateway's start.
func TestDevicesComeBackSecondsAfterARestart(t *testing.T) {
	t.Parallel()
	p := newPlant(t, func(*plant) {})
	for _, c := range []struct {
		how      string
		signal   syscall.Signal
		promised time.Duration
	}{{"a clean restart", syscall.SIGTERM, 8 * time.Second}, {"kill -9", syscall.SIGKILL, 10 * time.Second}} {
		since := p.since(t)
		p.gateway.End(c.signal)
		p.gateway = p.Serve()
		began := time.Now()
		for p.since(t).Equal(since) {
			if time.Since(began) > 10*c.promised {
				t.Fatalf("%s: not back within %s\n%s", c.how, 10*c.promised, p.agent.Output())
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("%s: the device is back %s after the gateway is ready, promised within %s",
			c.how, time.Since(began).Round(100*time.Millisecond), c.promised)
		p.works(t)
	}
}

// since is when the agent's line came up; without a line, it is the previous time.
func (p *plant) since(t *testing.T) time.Time {
	t.Helper()
	cmd := p.Agent("press-1", "status", "--json")
	raw, err := cmd.Output()
	var st struct {
		Line struct {
			Online bool
			Since  time.Time
		}
	}
	if err == nil {
		err = json.Unmarshal(raw, &st)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if st.Line.Online {
		p.lineSince = st.Line.Since
	}
	return p.lineSince
}
