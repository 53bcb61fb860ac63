package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// flooding is a session that prints without end.
type flooding struct {
	cmd   *exec.Cmd
	bytes atomic.Int64
	took  time.Duration
	errs  bytes.Buffer
}

const mib = 1 << 20

func (f *flooding) run(began time.Time) {
	count := writerFunc(func(p []byte) {
		f.bytes.Add(int64(len(p)))
	})
	f.cmd.Stdout, f.cmd.Stderr = count, &f.errs
	f.cmd.Run()
	f.took = time.Since(began)
}

func TestAFloodHasItsBudgetAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	d := sized(t, map[string]int64{"per_session": 70 * mib}, nil)
	_, tty, out := open(t, d, "--", "sh", "-c", "stty raw -echo; echo rea''dy; exec cat")
	out.wait(t, "ready")
	t.Logf("echo on a quiet gateway: %s", echoTimes(t, tty, out, func(n int) bool { return n < 50 }))

	floods := []*flooding{
		{cmd: d.Command(context.Background(), "technician", "shell", "press-1", "--", "cat", "/dev/zero")},
		{cmd: d.Command(context.Background(), "technician", "shell", "-t", "press-1", "--", "cat", "/dev/zero")},
	}
	var all sync.WaitGroup
	running := atomic.Int64{}
	for _, f := range floods {
		running.Add(1)
		all.Go(func() { f.run(time.Now()); running.Add(-1) })
	}
	stop := time.AfterFunc(2*time.Minute, func() {
		for _, f := range floods {
			f.cmd.Process.Kill()
		}
	})
	t.Logf("echo beside two floods: %s", echoTimes(t, tty, out, func(int) bool { return running.Load() > 0 }))
	all.Wait()
	stop.Stop()
	for i, f := range floods {
		kind := []string{"command", "terminal"}[i]
		n := f.bytes.Load()
		t.Logf("%s: %d bytes in %s", kind, n, f.took)
		if n < 64*mib || n > 70*mib {
			t.Errorf("%s: got %d bytes, want between 64 and 70 MiB", kind, n)
		}
		if want := "this session has recorded 70 MiB, the most that one session may"; !strings.Contains(f.errs.String(), want) || f.cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("%s: got status %d and %q, want 255 and %q", kind, f.cmd.ProcessState.ExitCode(), f.errs.String(), want)
		}
	}
	deviceHeard(t, d, "recorded too much")
	var rows []struct{ ID, Reason, Record string }
	if err := json.Unmarshal([]byte(d.Run(t, "officer", "sessions", "list", "--json").Out), &rows); err != nil || len(rows) < 3 {
		t.Fatalf("sessions list: %v %v", err, rows)
	}
	for _, r := range rows[:2] {
		if r.Reason != "recorded too much" || r.Record != "complete" {
			t.Errorf("the officer sees %+v, want a complete record that was too much", r)
		}
	}
	io.WriteString(tty, "still")
	out.wait(t, "still")
}

// echoTimes sends one character at a time, waits for its echo, and says how long that took. Ten times the promised 100 ms
// is the most for the middle one.
func echoTimes(t *testing.T, tty *os.File, out *screen, more func(n int) bool) string {
	t.Helper()
	var took []time.Duration
	for n := 0; more(n); n++ {
		mark := "<" + strconv.Itoa(n) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36) + ">"
		began := time.Now()
		io.WriteString(tty, mark)
		out.wait(t, mark)
		took = append(took, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(took)
	p := func(part float64) time.Duration {
		return took[int(float64(len(took)-1)*part)].Round(100 * time.Microsecond)
	}
	if p(0.5) > time.Second {
		t.Errorf("the middle echo took %s, want about 100 ms at most", p(0.5))
	}
	return fmt.Sprintf("%d keys, median %s, 95 %% %s, longest %s", len(took), p(0.5), p(0.95), p(1))
}
