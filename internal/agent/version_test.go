package agent_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/agent/state"
)

// TestAGatewayOfVersionOneIsRefusedWithWhatToDo: log, status and doctor say it.
func TestAGatewayOfVersionOneIsRefusedWithWhatToDo(t *testing.T) {
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	d.kill(syscall.SIGTERM)
	g.speak(1)
	d.start()
	const text, hint = "speaks version 1 of the control protocol, and this agent version 2", "The gateway must be updated"
	eventually(t, "the agent refuses it", func() bool { out, _ := d.run("status"); return strings.Contains(out, text) })
	status, _ := d.run("status")
	doctor, _ := d.run("doctor")
	for what, said := range map[string]string{"log": d.log.String(), "status": status, "doctor": doctor} {
		if !strings.Contains(said, text) || !strings.Contains(said, hint) {
			t.Errorf("%s: got %s", what, said)
		}
	}
	if n := strings.Count(d.log.String(), "no line to the gateway"); n != 1 {
		t.Errorf("the agent tried %d times at once", n)
	}
}

// TestNobodyEnrolsAtAGatewayOfVersionOne: nothing is stored, and the person at the device reads why.
func TestNobodyEnrolsAtAGatewayOfVersionOne(t *testing.T) {
	g := newGate(t)
	g.speak(1)
	d := newDevice(t)
	out, code := d.run("enroll", g.code.String(), "--preset", "open", "--ephemeral")
	if code == 0 || !strings.Contains(out, "the gateway is of an earlier release than this agent") {
		t.Errorf("got %d %s", code, out)
	}
	if _, err := state.At(d.dir).Bundle(); err == nil {
		t.Error("a trust bundle was stored")
	}
}
