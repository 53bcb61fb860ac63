package e2e

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestASessionBeyondTheLimitOfADeviceIsRefusedInWords(t *testing.T) {
	t.Parallel()
	d := sized(t, map[string]int64{"per_device": 1}, nil)
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "echo rea''dy\n")
	out.wait(t, "ready")
	began := time.Now()
	got := d.Run(t, "technician", "shell", "press-1", "--", "true")
	if got.Status != 255 || !strings.Contains(got.Err, "press-1 has 1 live session, counting those being opened. The limit for one device is 1.") ||
		!strings.Contains(got.Err, "sallyport sessions list --state live --device press-1") {
		t.Errorf("got %+v, want a refusal with the limit, the count and what to do, and a status other than 77", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the refusal took %s: the command line tried again", took)
	}
	if got := d.Run(t, "technician", "sessions", "list", "--state", "live", "--device", "press-1"); !strings.Contains(got.Out, "press-1") {
		t.Errorf("the hint's command: got %+v, want the session", got)
	}
	if got := d.Run(t, "technician", "sessions", "list", "--state", "refused", "--json"); !strings.Contains(got.Out, "The limit for one device is 1.") {
		t.Errorf("got %+v, want the refused session with its reason", got)
	}
	io.WriteString(tty, "exit\n")
	cmd.Wait()
	if got := d.Run(t, "technician", "shell", "press-1", "--", "true"); got.Status != 0 {
		t.Errorf("after the end: got %+v", got)
	}
}
